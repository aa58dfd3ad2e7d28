# OpenVino::runtime: the CPU engine and its ONNX reader. Only libs/serving links it.
include_guard(GLOBAL)
include(ThirdPartyFolder)

set(openvino ${TIDEWHEEL_THIRD_PARTY_FOLDER}/openvino-2026.4.0)
foreach(file libs/libopenvino.so.2640 libs/libopenvino_intel_cpu_plugin.so libs/libopenvino_onnx_frontend.so.2640 include/openvino/openvino.hpp)
  if(NOT EXISTS ${openvino}/${file})
    message(FATAL_ERROR "OpenVINO is not in ${openvino} (no ${file}).\n"
      "Run `./tidewheel setup`, which unpacks it there, or name its parent folder with -DTIDEWHEEL_THIRD_PARTY=DIR.")
  endif()
endforeach()

# Its own OpenVINOConfig.cmake works only from a folder that is called openvino.
add_library(OpenVino::runtime SHARED IMPORTED GLOBAL)
set_target_properties(OpenVino::runtime PROPERTIES
  IMPORTED_LOCATION ${openvino}/libs/libopenvino.so.2640
  INTERFACE_INCLUDE_DIRECTORIES ${openvino}/include
  INTERFACE_LINK_OPTIONS -Wl,--disable-new-dtags)
