#include "tidewheel/inference/oip_http/http_message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace tidewheel::inference::http {
namespace {

constexpr bool IsTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr std::array<bool, 256> kToken = [] {
  std::array<bool, 256> table{};
  for (int c = 1; c < 128; ++c) {
    table[static_cast<std::size_t>(c)] = IsTokenCharacter(static_cast<char>(c));
  }
  return table;
}();

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool SameWord(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<Refusal> ReadRequestLine(std::string_view line, Head* head) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) {
    return Refusal{400, "the request line must be METHOD TARGET HTTP/1.1"};
  }
  head->method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  if (!IsToken(head->method)) return Refusal{400, "the method is not a word"};
  if (version == "HTTP/1.1") {
    head->minor_version = 1;
  } else if (version == "HTTP/1.0") {
    head->minor_version = 0;
  } else {
    return Refusal{version.starts_with("HTTP/") ? 505 : 400, "only HTTP/1.1 is spoken here"};
  }
  for (const char c : target) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return Refusal{400, "the target has a character that must be escaped"};
    }
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() > scheme.size() && SameWord(target.substr(0, scheme.size()), scheme)) {
      const auto slash = target.find('/', scheme.size());
      target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
      break;
    }
  }
  if (!target.starts_with('/') && target != "*") {
    return Refusal{400, "the target must begin with a slash"};
  }
  const auto mark = target.find('?');
  head->path = target.substr(0, mark);
  head->query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  return {};
}

std::optional<Refusal> ReadLength(std::string_view value, Head* head) {
  if (head->content_length) return Refusal{400, "Content-Length is given twice"};
  std::uint64_t length = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, length);
  if (value.empty() || parsed.ec != std::errc() || parsed.ptr != end) {
    return Refusal{400, "Content-Length is not a number"};
  }
  head->content_length = length;
  return {};
}

// What the headers mean for the connection and the body.
std::optional<Refusal> Interpret(Head* head) {
  int hosts = 0;
  bool closes = false;
  bool keeps = false;
  for (const auto& [name, value] : head->headers) {
    if (name == "content-length") {
      if (auto refusal = ReadLength(value, head)) return refusal;
    } else if (name == "transfer-encoding") {
      if (head->chunked) return Refusal{400, "Transfer-Encoding is given twice"};
      if (!SameWord(value, "chunked")) return Refusal{501, "the only Transfer-Encoding is chunked"};
      if (head->minor_version == 0) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
      head->chunked = true;
    } else if (name == "host") {
      ++hosts;
    } else if (name == "connection") {
      closes = closes || head->HasWord("connection", "close");
      keeps = keeps || head->HasWord("connection", "keep-alive");
    } else if (name == "expect") {
      if (!SameWord(value, "100-continue")) return Refusal{417, "Expect may be 100-continue"};
      head->expects_continue = head->minor_version == 1;
    }
  }
  if (head->chunked && head->content_length) {
    return Refusal{400, "Content-Length and Transfer-Encoding exclude each other"};
  }
  if (hosts > 1 || (hosts == 0 && head->minor_version == 1)) {
    return Refusal{400, "a request has one Host header"};
  }
  head->keep_alive = !closes && (head->minor_version == 1 || keeps);
  return {};
}

}  // namespace

std::string_view Head::Find(std::string_view lower_case_name) const {
  for (const Header& header : headers) {
    if (header.name == lower_case_name) return header.value;
  }
  return {};
}

bool Head::HasWord(std::string_view lower_case_name, std::string_view word) const {
  for (const Header& header : headers) {
    if (header.name != lower_case_name) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      if (SameWord(Trimmed(rest.substr(0, comma)), word)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

std::optional<Refusal> ReadHead(std::string_view received, const HeadLimits& limits, Head* head,
                                std::size_t* used) {
  *used = 0;
  // Some clients end a body with a line that belongs to nothing.
  std::size_t begin = 0;
  while (begin < 4 && received.substr(begin).starts_with("\r\n")) begin += 2;
  const auto end = received.find("\r\n\r\n", begin);
  const std::size_t size = (end == std::string_view::npos ? received.size() : end + 4) - begin;
  if (size > limits.bytes) {
    return Refusal{431, "a head of more than " + std::to_string(limits.bytes) + " bytes"};
  }
  if (end == std::string_view::npos) {
    // Who does not speak HTTP at all is not waited for.
    const auto line_feed = received.find('\n', begin);
    if (line_feed != std::string_view::npos &&
        (line_feed == 0 || received[line_feed - 1] != '\r')) {
      return Refusal{400, "a line must end with CR LF"};
    }
    return {};
  }
  *head = Head{};
  head->bytes = std::make_unique<char[]>(size);
  std::memcpy(head->bytes.get(), received.data() + begin, size);
  std::string_view rest(head->bytes.get(), size - 2);  // Each line with its CR LF.

  const auto line_end = rest.find("\r\n");
  if (auto refusal = ReadRequestLine(rest.substr(0, line_end), head)) return refusal;
  rest.remove_prefix(line_end + 2);
  while (!rest.empty()) {
    const auto stop = rest.find("\r\n");
    const std::string_view line = rest.substr(0, stop);
    rest.remove_prefix(stop + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
      return Refusal{400, "a header must be NAME: VALUE on one line"};
    }
    if (head->headers.size() == limits.headers) {
      return Refusal{431, "more than " + std::to_string(limits.headers) + " headers"};
    }
    char* name = head->bytes.get() + (line.data() - head->bytes.get());
    for (std::size_t i = 0; i < colon; ++i) name[i] = Lower(name[i]);
    const std::string_view value = Trimmed(line.substr(colon + 1));
    for (const char c : value) {
      if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f) {
        return Refusal{400, "a header's value has a control character"};
      }
    }
    head->headers.push_back({{name, colon}, value});
  }
  if (auto refusal = Interpret(head)) return refusal;
  *used = begin + size;
  return {};
}

std::optional<Refusal> ChunkReader::Read(std::string_view received, std::size_t most_bytes,
                                         net::AlignedBytes* body, std::size_t* used) {
  constexpr std::size_t kMostOverhead = 16 * 1'024;
  const Refusal broken{400, "the chunks of the body are broken"};
  std::size_t at = 0;
  while (at < received.size() && state_ != State::kDone) {
    const char c = received[at];
    switch (state_) {
      case State::kSize: {
        const int digit = HexDigit(c);
        if (digit >= 0) {
          if (++digits_ > 15) return broken;
          left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
          ++at;
          break;
        }
        if (digits_ == 0) return broken;
        if (left_ > most_bytes || body->size() > most_bytes - left_) {
          return Refusal{413, "a body of more than " + std::to_string(most_bytes) + " bytes"};
        }
        if (c == '\r') {
          state_ = State::kSizeEnd;
        } else if (c == ';' || c == ' ' || c == '\t') {
          state_ = State::kExtension;
        } else {
          return broken;
        }
        ++at;
        break;
      }
      case State::kExtension:
        if (++overhead_ > kMostOverhead || c == '\n') return broken;
        if (c == '\r') state_ = State::kSizeEnd;
        ++at;
        break;
      case State::kSizeEnd:
        if (c != '\n') return broken;
        ++at;
        digits_ = 0;
        // Many tiny chunks cost more than they bring.
        overhead_ += left_ < 64 ? 1 : 0;
        if (overhead_ > kMostOverhead) return broken;
        state_ = left_ == 0 ? State::kTrailer : State::kBytes;
        break;
      case State::kBytes: {
        const std::size_t take =
            static_cast<std::size_t>(std::min<std::uint64_t>(left_, received.size() - at));
        body->Append(received.substr(at, take));
        at += take;
        left_ -= take;
        if (left_ == 0) state_ = State::kBytesCr;
        break;
      }
      case State::kBytesCr:
        if (c != '\r') return broken;
        state_ = State::kBytesLf;
        ++at;
        break;
      case State::kBytesLf:
        if (c != '\n') return broken;
        state_ = State::kSize;
        ++at;
        break;
      case State::kTrailer:
        if (++overhead_ > kMostOverhead) return broken;
        ++at;
        if (carriage_return_) {
          if (c != '\n') return broken;
          carriage_return_ = false;
          if (line_ == 0) state_ = State::kDone;
          line_ = 0;
        } else if (c == '\r') {
          carriage_return_ = true;
        } else if (c == '\n') {
          return broken;
        } else {
          ++line_;
        }
        break;
      case State::kDone:
        break;
    }
  }
  *used = at;
  return {};
}

std::optional<std::vector<std::string>> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return parts;
  std::string part;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '/') {
      parts.push_back(std::exchange(part, {}));
    } else if (path[i] == '%') {
      const int high = i + 2 < path.size() ? HexDigit(path[i + 1]) : -1;
      const int low = i + 2 < path.size() ? HexDigit(path[i + 2]) : -1;
      if (high < 0 || low < 0 || high * 16 + low == 0) return std::nullopt;
      part += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      part += path[i];
    }
  }
  parts.push_back(std::move(part));
  return parts;
}

std::size_t Response::size() const {
  std::size_t bytes = body.size();
  for (const Piece& piece : pieces) bytes += piece.bytes.size();
  return bytes;
}

std::string_view Phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

std::string WriteHead(const Response& response, bool keep_alive) {
  std::string head;
  head.reserve(192 + response.headers.size());
  head += "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += Phrase(response.status);
  head += "\r\nContent-Type: ";
  head += response.content_type;
  head += "\r\nContent-Length: ";
  head += std::to_string(response.size());
  head += "\r\n";
  head += response.headers;
  if (!keep_alive) head += "Connection: close\r\n";
  head += "\r\n";
  return head;
}

}  // namespace tidewheel::inference::http
