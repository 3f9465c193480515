import Deployment
import Vocabulary

/// What the journal has of a unit, through journalctl(1): the deploy user reads it as a member of systemd-journal.
struct UnitJournal {
  private let operation: Operation
  private let unit: String

  init(_ operation: Operation, _ unit: String) {
    self.operation = operation
    self.unit = unit
  }

  /// The last ones, oldest first; nothing where it cannot be read.
  func lastLines(_ count: Int = 15) -> [String] {
    lines(["-n", "\(count)", "-o", "cat"]).map { $0.suffix(count).map { String($0.prefix(500)) } } ?? []
  }

  /// Where it ends now, as a cursor: times of entries are those of a clock that jumps. nil without a single entry.
  func end() -> String? {
    let mark = "-- cursor: "
    return lines(["-n", "1", "-o", "cat", "--show-cursor"])?.last { $0.hasPrefix(mark) }.map {
      String($0.dropFirst(mark.count))
    }
  }

  /// How many entries of priority error or worse there are after that place, in this boot where it is nil; nil where nobody
  /// can say: without a single entry of the unit it is not known whether there are none or whether they cannot be read.
  func errors(after cursor: String?) -> Int? {
    guard let any = lines(["-n", "1", "-o", "cat"]), !any.isEmpty else { return nil }
    let place = cursor.map { ["--after-cursor", $0] } ?? ["-b"]
    return lines(["-p", "err", "-n", "\(Self.most)", "-o", "cat"] + place)?.count
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
