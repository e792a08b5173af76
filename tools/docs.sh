# ./dev docs: the generated pages.
build release temper
build/temper docs config >docs/config.md
python3 tools/error_table.py src >docs/errors.md
say "wrote docs/config.md and docs/errors.md"
