extension Settings.Deploy {
  /// `Mon-Fri 02:00-05:00`: days of the week and a time of the day, local time. Without days it is every day; a window
  /// that ends before it begins goes on into the next day and belongs to the day it began.
  package struct Window: Hashable, Sendable, CustomStringConvertible {
    /// 0 is Monday.
    package let days: Set<Int>
    /// Minutes from midnight; `end` is outside.
    package let start: Int
    package let end: Int
    private let text: String

    package var description: String { text }

    private static let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    package init?(text: String) {
      let parts = text.split(separator: " ")
      guard let time = parts.last, parts.count <= 2 else { return nil }
      var days = Set(0..<7)
      if parts.count == 2 {
        days = []
        for part in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
          let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
            Self.names.firstIndex(of: $0.lowercased())
          }
          guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else { return nil }
          for step in 0...((last - first + 7) % 7) { days.insert((first + step) % 7) }
        }
      }
      let times = time.split(separator: "-", omittingEmptySubsequences: false).map { Self.minutes($0) }
      guard times.count == 2, let start = times[0], let end = times[1], start != end, start < 1_440 else { return nil }
      self.days = days
      self.start = start
      self.end = end
      self.text = text
    }

    private static func minutes(_ text: Substring) -> Int? {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, (1...2).contains(parts[0].utf8.count), parts[1].utf8.count == 2,
        let hour = UInt8(parts[0]), let minute = UInt8(parts[1]), hour <= 24, minute < 60, hour < 24 || minute == 0
      else { return nil }
      return Int(hour) * 60 + Int(minute)
    }

    /// `weekday` 0 is Monday, `minute` counts from midnight.
    package func contains(weekday: Int, minute: Int) -> Bool {
      if start < end { return days.contains(weekday) && (start..<end).contains(minute) }
      return days.contains(weekday) && minute >= start || days.contains((weekday + 6) % 7) && minute < end
    }
  }
}
