# LibTorch::cpu: the CPU half of LibTorch. Only libs/ml links it.
include_guard(GLOBAL)
include(ThirdPartyFolder)

if(TIDEWHEEL_LIBTORCH)
  set(libtorch ${TIDEWHEEL_LIBTORCH})
else()
  set(libtorch ${TIDEWHEEL_THIRD_PARTY_FOLDER}/libtorch-2.15.0)
endif()
foreach(file lib/libtorch_cpu.so lib/libc10.so include/ATen/ATen.h)
  if(NOT EXISTS ${libtorch}/${file})
    message(FATAL_ERROR "LibTorch is not in ${libtorch} (no ${file}).\n"
      "Run `./tidewheel setup`, which unpacks it there, or name another one with -DTIDEWHEEL_LIBTORCH=DIR.")
  endif()
endforeach()

# Not libtorch.so, which wants the CUDA libraries. An old-style RPATH, because a RUNPATH does not reach what the libraries need themselves.
add_library(LibTorch::c10 SHARED IMPORTED GLOBAL)
set_target_properties(LibTorch::c10 PROPERTIES IMPORTED_LOCATION ${libtorch}/lib/libc10.so)
add_library(LibTorch::cpu SHARED IMPORTED GLOBAL)
set_target_properties(LibTorch::cpu PROPERTIES
  IMPORTED_LOCATION ${libtorch}/lib/libtorch_cpu.so
  IMPORTED_LINK_DEPENDENT_LIBRARIES LibTorch::c10
  INTERFACE_LINK_LIBRARIES LibTorch::c10
  INTERFACE_INCLUDE_DIRECTORIES "${libtorch}/include;${libtorch}/include/torch/csrc/api/include"
  INTERFACE_LINK_OPTIONS -Wl,--disable-new-dtags)
