import Deployment
package import Vocabulary

/// What the journal has of a unit, through journalctl(1): the deploy user reads it as a member of systemd-journal.
package struct UnitJournal {
  private let operation: Operation
  private let unit: String

  package init(_ operation: Operation, _ unit: String) {
    self.operation = operation
    self.unit = unit
  }

  /// The last ones, oldest first; nothing where it cannot be read.
  func lastLines(_ count: Int = 15) -> [String] {
    lines(["-n", "\(count)", "-o", "cat"]).map { $0.suffix(count).map { String($0.prefix(500)) } } ?? []
  }

  /// The last ones since then, by the clock that does not jump, oldest first: `app[7]: it broke`.
  package func lines(since begin: Instant, atMost count: Int) -> [String] {
    Self.texts(of: lines(["-b", "-n", "\(count)", "--no-hostname", "-o", "short-monotonic"]) ?? [], since: begin)
      .suffix(count).map { String($0.prefix(500)) }
  }

  /// Without their times. A line without one belongs to the entry before it.
  static func texts(of lines: [String], since begin: Instant) -> [String] {
    var texts: [String] = []
    var isLate = false
    for line in lines {
      let time = time(of: line)
      if let time { isLate = time >= begin }
      guard isLate else { continue }
      let text = time == nil ? Substring(line) : line.drop { $0 != "]" }.dropFirst()
      texts.append(String(text.drop { $0 == " " }))
    }
    return texts
  }

  /// How many entries of priority error or worse there are since then, by the clock that does not jump; nil where nobody can
  /// say: without a single entry of the unit it is not known whether there are none or whether they cannot be read.
  func errors(since begin: Instant) -> Int? {
    guard let any = lines(["-n", "1", "-o", "cat"]), !any.isEmpty else { return nil }
    let errors = lines(["-b", "-p", "err", "-n", "\(Self.most)", "-o", "short-monotonic"])
    return errors?.count { line in Self.time(of: line).map { $0 >= begin } ?? false }
  }

  /// `[   12.345678] host program[7]: text`, of CLOCK_MONOTONIC; nil for further lines of an entry. Source: journalctl(1).
  static func time(of line: String) -> Instant? {
    guard line.hasPrefix("["), let end = line.firstIndex(of: "]") else { return nil }
    let parts = line[line.index(after: line.startIndex)..<end].split(separator: " ").last?.split(separator: ".")
    guard let parts, parts.count == 2, parts[1].count == 6, let seconds = Int64(parts[0]), let rest = Int64(parts[1])
    else {
      return nil
    }
    return .zero + .seconds(seconds) + .microseconds(rest)
  }

  private static let most = 1_000

  private func lines(_ options: [String]) -> [String]? {
    guard operation.effects.mode == .act else { return nil }
    var command = CommandRun(
      ["journalctl", "-u", unit, "--no-pager", "-q"] + options, in: "/", environment: operation.plainEnvironment,
      subject: "journalctl -u \(unit)")
    command.output = .captured(limit: 1 << 20)
    command.timeout = .seconds(10)
    command.ignoresAbort = true
    command.isReading = true
    guard let result = try? command.run(operation), result.hasSucceeded else { return nil }
    return result.text.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
  }
}
