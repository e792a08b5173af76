# Links every file of src/eval/data into the program: one assembler line each, and a table of names.
function(embed_eval_data)
  set(data_folder ${CMAKE_SOURCE_DIR}/src/eval/data)
  file(GLOB_RECURSE data_files CONFIGURE_DEPENDS ${data_folder}/*)
  set(blobs "")
  set(rows "")
  set(index 0)
  foreach(file IN LISTS data_files)
    file(RELATIVE_PATH name ${data_folder} ${file})
    string(APPEND blobs "asm(\".section .rodata\\n.balign 16\\ntemper_blob_${index}: .incbin \\\"${file}\\\"\\ntemper_blob_${index}_end: .byte 0\\n.previous\\n\");\n"
      "extern \"C\" const char blob_${index}[] asm(\"temper_blob_${index}\");\nextern \"C\" const char blob_${index}_end[] asm(\"temper_blob_${index}_end\");\n")
    string(APPEND rows "  {\"${name}\", blob_${index}, blob_${index}_end},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  set(generated ${CMAKE_BINARY_DIR}/eval_embedded_data.cpp)
  file(CONFIGURE OUTPUT ${generated} CONTENT "// Made by src/eval/layer.cmake.
  namespace temper {
  struct EmbeddedFile { const char *name, *begin, *end; };
  ${blobs}extern const EmbeddedFile kEmbeddedFiles[] = {
  ${rows}  {nullptr, nullptr, nullptr}};
  }
  " @ONLY)
  target_sources(temper_eval PRIVATE ${generated})
  set_source_files_properties(${generated} PROPERTIES OBJECT_DEPENDS "${data_files}")
endfunction()
embed_eval_data()
