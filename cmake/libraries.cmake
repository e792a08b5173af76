# Small libraries, most from the distribution's packages (see `./dev setup`).
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

add_library(temper_libraries INTERFACE)
# fmt is the version whose headers come with torch (src/base/fmt.cpp compiles its functions), reached by a folder that holds
# nothing else: base does not see torch.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/fmt)
file(CREATE_LINK ${TORCH_DIR}/include/fmt ${CMAKE_BINARY_DIR}/fmt/fmt SYMBOLIC)
target_include_directories(temper_libraries SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/fmt)
target_link_libraries(temper_libraries INTERFACE
  nlohmann_json::nlohmann_json CLI11::CLI11 ZLIB::ZLIB PkgConfig::PCRE2 PkgConfig::ZSTD PkgConfig::XXHASH Threads::Threads)
