internal import Glibc

/// Seconds of the wall clock, UTC, as ISO 8601 writes them. For people and names, never for decisions.
package enum DateText {
  /// `2026-07-27T12:00:00Z`
  package static func text(_ seconds: Int64) -> String { format(seconds, "%Y-%m-%dT%H:%M:%SZ") }

  /// `20260727T120000Z`, as release ids begin.
  package static func stamp(_ seconds: Int64) -> String { format(seconds, "%Y%m%dT%H%M%SZ") }

  package static func seconds(_ text: String) -> Int64? {
    let numbers = text.split { !$0.isNumber }.compactMap { Int32($0) }
    guard numbers.count == 6 else { return nil }
    var parts = tm()
    parts.tm_year = numbers[0] - 1_900
    parts.tm_mon = numbers[1] - 1
    (parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[2], numbers[3], numbers[4], numbers[5])
    let seconds = Int64(timegm(&parts))
    // Only what is written like this, and is a time there is.
    return self.text(seconds) == text ? seconds : nil
  }

  private static func format(_ seconds: Int64, _ form: String) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    var buffer = [CChar](repeating: 0, count: 64)
    let count = strftime(&buffer, buffer.count, form, &parts)
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
