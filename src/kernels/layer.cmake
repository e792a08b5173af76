# Every file of cpu/isa/ is compiled once for each instruction set, into the namespaces cpu_plain, cpu_avx2, ... (cpu/isa.h), and
# chosen at run time.  These files include no torch and no standard containers: an inline function of a shared header
# that was compiled for AVX-512 could otherwise be the one that the linker keeps for everybody.
# A machine that lacks AVX-512 builds without it, which saves half of these compilations.
file(STRINGS /proc/cpuinfo cpu_flags REGEX "^flags.* avx512bw .*avx512vl" LIMIT_COUNT 1)
if(cpu_flags OR NOT EXISTS /proc/cpuinfo)
  option(TEMPER_WITHOUT_AVX512 "compile no kernels for AVX-512" OFF)
else()
  option(TEMPER_WITHOUT_AVX512 "compile no kernels for AVX-512" ON)
endif()
file(GLOB isa_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/cpu/isa/*.cpp)
set_source_files_properties(${isa_sources} PROPERTIES COMPILE_OPTIONS "-O3;-ffp-contract=fast" SKIP_PRECOMPILE_HEADERS ON)
if(isa_sources AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(isa_flags_avx2 -mavx2 -mfma)
  set(isa_flags_avx512 -mavx2 -mfma -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512)
  set(isa_flags_avx512bf16 ${isa_flags_avx512} -mavx512bf16)   # multiplies pairs of bf16 into fp32
  set(isas avx2 avx512 avx512bf16)
  if(TEMPER_WITHOUT_AVX512)   # also in the headers that choose among them
    set(isas avx2)
    add_compile_definitions(TEMPER_WITHOUT_AVX512)
  endif()
  foreach(isa IN LISTS isas)
    add_library(temper_kernels_${isa} OBJECT ${isa_sources})
    target_compile_options(temper_kernels_${isa} PRIVATE ${isa_flags_${isa}})
    target_compile_definitions(temper_kernels_${isa} PRIVATE TEMPER_ISA=${isa} TEMPER_ISA_BYTES=$<IF:$<STREQUAL:${isa},avx2>,32,64>)
    set(TEMPER_LAYER_OBJECTS "${TEMPER_LAYER_OBJECTS};temper_kernels_${isa}" CACHE INTERNAL "")
  endforeach()
endif()
