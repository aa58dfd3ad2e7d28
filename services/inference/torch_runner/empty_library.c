// Only its name is wanted: see CMakeLists.txt.
extern int tidewheel_empty_library;
