import ControlProtocol
import Glibc
import JSON
import LinuxSystem
import Vocabulary

/// Times for people.
enum Ages {
  /// One or two units, rounded down: `7s`, `1m30s`, `3h5m`, `2d4h`.
  static func text(_ duration: Duration) -> String {
    let seconds = duration.nanoseconds / 1_000_000_000
    func two(_ whole: Int64, _ unit: String, _ part: Int64, _ small: String) -> String {
      part == 0 ? "\(whole)\(unit)" : "\(whole)\(unit)\(part)\(small)"
    }
    switch seconds {
    case ..<60: return "\(max(0, seconds))s"
    case ..<3_600: return two(seconds / 60, "m", seconds % 60, "s")
    case ..<86_400: return two(seconds / 3_600, "h", seconds % 3_600 / 60, "m")
    default: return two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h")
    }
  }

  /// How long an act took: `150ms`, `1.25s`, `2m3s`.
  static func took(_ duration: Duration) -> String {
    let milliseconds = duration.milliseconds
    switch milliseconds {
    case ..<1_000: return "\(max(0, milliseconds))ms"
    case ..<60_000: return Duration.milliseconds(milliseconds / 10 * 10).text
    default: return text(duration)
    }
  }

  /// `2026-11-21 05:43:07.123`, local time.
  static func clock(_ time: WallTime) -> String {
    var seconds = time_t(time.microseconds / 1_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    func padded(_ value: Int, _ digits: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let date = [Int(parts.tm_year) + 1_900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { padded($0, 2) }
    let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)].map { padded($0, 2) }
    let milliseconds = padded(Int(time.microseconds / 1_000 % 1_000), 3)
    return "\(date.joined(separator: "-")) \(clock.joined(separator: ":")).\(milliseconds)"
  }
}

extension WallTime {
  static var now: WallTime { WallTime(microseconds: RealTime.microseconds()) }
}
