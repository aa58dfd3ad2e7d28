# Writes the assets as byte arrays into one source file: FOLDER, ASSETS (a list), OUTPUT.
set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")
set(arrays "")
set(table "")
set(index 0)
foreach(asset ${ASSETS})
  file(READ ${FOLDER}/${asset} hex HEX)
  file(SHA256 ${FOLDER}/${asset} digest)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "^.*\\." "" extension ${asset})
  string(APPEND arrays "constexpr unsigned char kBytes${index}[] = {${bytes}};\n")
  string(APPEND table "      {\"/${asset}\", \"${types_${extension}}\", Text(kBytes${index}, sizeof kBytes${index}), \"${digest}\"},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUTPUT}.new "#include \"tidewheel/web/assets.h\"

namespace tidewheel::web {
namespace {

${arrays}
std::string_view Text(const unsigned char* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

const std::vector<Asset>& AllAssets() {
  static const std::vector<Asset> assets = {
${table}  };
  return assets;
}

}  // namespace tidewheel::web
")
file(RENAME ${OUTPUT}.new ${OUTPUT})
