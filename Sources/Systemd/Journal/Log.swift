import Glibc

/// Where this process's entries go: to the journal with their fields when standard error leads there, else as plain lines
/// to standard error. Never waits.
public final class Log {
  private let journal: Journal?
  private let plain: PlainLog

  public init(journal: Journal?, plain: PlainLog) {
    self.journal = journal
    self.plain = plain
  }

  /// `always`: fields that every entry in the journal gets.
  public static func fromEnvironment(always: [LogField] = []) -> Log {
    let isStream = Journal.isStream(STDERR_FILENO)
    // Without a socket the stream still reaches the journal, only without fields.
    let journal = isStream ? try? Journal(always: always) : nil
    return Log(journal: journal, plain: PlainLog(levels: isStream ? .numbers : .words))
  }

  /// Whether entries keep their fields.
  public var isStructured: Bool { journal != nil }

  /// Entries that were not taken since the beginning.
  public var dropped: UInt64 { (journal?.dropped ?? 0) - rescued + plain.dropped }
  /// Dropped by the journal and written as plain lines instead.
  private var rescued: UInt64 = 0

  /// Returns why the entry was dropped; nil when it was taken. A journal that is not there at all is replaced by plain
  /// lines; one that is only busy is not, for they would fill up too.
  public func write(_ entry: LogEntry) -> SystemdError? {
    guard let journal else { return plain.write(entry) }
    guard let failure = journal.write(entry) else { return nil }
    if case .wouldBlock = failure.cause { return failure }
    rescued += 1
    return plain.write(entry)
  }
}
