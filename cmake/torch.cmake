# The torch wheel as a C++ library: c10 and torch_cpu only.  find_package(Torch) is not used, it asks for a CUDA toolkit.
# `./dev setup` unpacks the pinned wheels and passes TORCH_DIR.
set(TORCH_DIR "" CACHE PATH "directory of the unpacked torch package (holds include/ and lib/)")
if(NOT EXISTS ${TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "TORCH_DIR='${TORCH_DIR}' holds no lib/libtorch_cpu.so: run ./dev setup, then ./dev build")
endif()

add_library(temper_torch INTERFACE)
add_library(temper::torch ALIAS temper_torch)
target_include_directories(temper_torch SYSTEM INTERFACE ${TORCH_DIR}/include ${TORCH_DIR}/include/torch/csrc/api/include)
# Without AT_PER_OPERATOR_HEADERS every use of a Tensor operator drags in all of ATen/Functions.h.
target_compile_definitions(temper_torch INTERFACE AT_PER_OPERATOR_HEADERS)
target_link_directories(temper_torch INTERFACE ${TORCH_DIR}/lib)
# at::parallel_for is a template: without -fopenmp here it would be serial.  The OpenMP library is torch's own.
target_compile_options(temper_torch INTERFACE -fopenmp)
target_link_libraries(temper_torch INTERFACE torch_cpu c10 gomp)
target_link_options(temper_torch INTERFACE -Wl,-rpath,${TORCH_DIR}/lib -Wl,--allow-shlib-undefined)
