# Peers: Python modules that show the numeric libraries to the peers' Python environment, which `./tidewheel setup --peers` makes.
# TIDEWHEEL_PEERS_PYTHON names its interpreter; without one nothing here is built and the comparisons are skipped.
if(DEFINED ENV{TIDEWHEEL_CACHE})
  set(peers_python $ENV{TIDEWHEEL_CACHE}/peers-venv/bin/python)
else()
  set(peers_python $ENV{HOME}/.cache/tidewheel/peers-venv/bin/python)
endif()
set(TIDEWHEEL_PEERS_PYTHON ${peers_python} CACHE FILEPATH "The Python of the peers' environment")

set(TIDEWHEEL_PEERS_FOUND OFF)
# A sanitizer's runtime must be there before Python is: the comparisons belong to the builds without one.
if(TIDEWHEEL_PEERS AND EXISTS ${TIDEWHEEL_PEERS_PYTHON} AND NOT TIDEWHEEL_SANITIZE)
  execute_process(COMMAND ${TIDEWHEEL_PEERS_PYTHON} -m pybind11 --cmakedir
    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status ERROR_QUIET)
  set(Python_EXECUTABLE ${TIDEWHEEL_PEERS_PYTHON})
  find_package(Python 3.11 QUIET COMPONENTS Interpreter Development.Module)
  if(status EQUAL 0 AND Python_Development.Module_FOUND)
    set(PYBIND11_FINDPYTHON ON)
    find_package(pybind11 CONFIG REQUIRED)
    set(TIDEWHEEL_PEERS_FOUND ON)
  endif()
endif()

# Every area's module.
add_custom_target(peers_all)

# tidewheel_peers(<area> LINK tidewheel::stats ... [TIMEOUT seconds])
# Python module tidewheel_peers.<area> from <area>_bindings.cc, target peers_<area>; ctest entry peers_<area>_test, which runs
# <area>_peers_test.py with it and is skipped where there is no environment.
function(tidewheel_peers area)
  cmake_parse_arguments(PEERS "" "TIMEOUT" "LINK" ${ARGN})
  if(NOT PEERS_TIMEOUT)
    set(PEERS_TIMEOUT 300)
  endif()
  set(folder ${CMAKE_BINARY_DIR}/peers)
  if(TIDEWHEEL_PEERS_FOUND)
    # NO_EXTRAS: no link-time optimisation, the same code as in the programs.
    pybind11_add_module(peers_${area} MODULE NO_EXTRAS ${area}_bindings.cc)
    target_link_libraries(peers_${area} PRIVATE ${PEERS_LINK} tidewheel_warnings)
    set_target_properties(peers_${area} PROPERTIES OUTPUT_NAME ${area} CXX_VISIBILITY_PRESET hidden
      LIBRARY_OUTPUT_DIRECTORY ${folder}/tidewheel_peers)
    add_dependencies(peers_all peers_${area})
    add_test(NAME peers_${area}_test COMMAND ${TIDEWHEEL_PEERS_PYTHON} -B ${CMAKE_CURRENT_SOURCE_DIR}/${area}_peers_test.py)
  else()
    add_test(NAME peers_${area}_test COMMAND sh -c "echo 'no peers: ./tidewheel setup --peers makes their environment'; exit 77")
  endif()
  set_tests_properties(peers_${area}_test PROPERTIES LABELS needs_peers TIMEOUT ${PEERS_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "PYTHONPATH=${folder}:${CMAKE_CURRENT_SOURCE_DIR};TIDEWHEEL_SOURCE_DIR=${PROJECT_SOURCE_DIR};OMP_NUM_THREADS=1;OPENBLAS_NUM_THREADS=1")
endfunction()
