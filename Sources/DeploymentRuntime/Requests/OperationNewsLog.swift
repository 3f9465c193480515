package import Deployment
internal import Glibc
internal import JSON
internal import LinuxSystem
package import Vocabulary

/// Those who follow from other processes: everything goes, masked, into `output.log`, which they read as it grows.
///
/// Nothing of it is needed to recover, so that nothing is synced and a line that cannot be written is lost.
package final class OperationNewsLog: OperationAudience {
  private let file: Descriptor?
  private let mask: (String) -> String
  private let began = Instant.monotonicNow()
  private var step: Step?
  private var size = 0
  private var isFull = false
  private var lastProgress: Instant = .zero

  /// Beyond this many bytes output of programs is left out.
  private let limit: Int

  package static func path(_ layout: Layout, _ id: OperationID) -> String { "\(layout.operation(id))/output.log" }

  private let layout: Layout

  package init(_ layout: Layout, _ id: OperationID, limit: Int = 64 << 20, mask: @escaping (String) -> String) {
    self.layout = layout
    self.limit = limit
    self.mask = mask
    let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW
    file = try? Descriptor.open(Self.path(layout, id), flags: flags, mode: 0o640)
    if let file { size = max(0, Int(lseek(file.raw, 0, SEEK_END))) }
  }

  /// That of another operation of the service.
  package func log(of id: OperationID) -> OperationNewsLog { OperationNewsLog(layout, id, limit: limit, mask: mask) }

  package func note(_ text: String) { write(news(.note, text)) }
  package func warn(_ text: String) { write(news(.warning, text)) }
  package func masked(_ text: String) -> String { mask(text) }

  package func output(_ line: String) {
    guard size < limit else {
      if !isFull { write(news(.warning, "the output is longer than \(limit >> 20) MiB; the rest is left out")) }
      isFull = true
      return
    }
    write(news(.output, line))
  }

  /// At most ten a second, and the last one.
  package func progress(done: Int64, total: Int64?, unit: String) {
    let now = Instant.monotonicNow()
    guard now - lastProgress >= .milliseconds(100) || done == total else { return }
    lastProgress = now
    var news = news(.progress, unit)
    news.done = done
    news.total = total
    write(news)
  }

  package func announce(_ announcement: Announcement) {
    var news = OperationNews(announcement, at: RealTime.microseconds())
    if news.phase == .began || news.phase == .undoing { step = news.step }
    news.text = news.text.map(mask)
    write(news)
  }

  /// The last word.
  package func end(_ verdict: OperationVerdict) {
    var verdict = verdict
    verdict.took = Instant.monotonicNow() - began
    verdict.what = mask(verdict.what)
    verdict.next = verdict.next.map(mask)
    verdict.lines = verdict.lines.map(mask)
    verdict.journal = verdict.journal.map(mask)
    var news = OperationNews(.outcome, at: RealTime.microseconds())
    news.verdict = verdict
    write(news)
  }

  private func news(_ kind: OperationNews.Kind, _ text: String) -> OperationNews {
    OperationNews(kind, at: RealTime.microseconds(), step: step, text: mask(text))
  }

  private func write(_ news: OperationNews) {
    guard let file else { return }
    var bytes: [UInt8] = []
    news.json.write(to: &bytes)
    bytes.append(UInt8(ascii: "\n"))
    // One write, so that who reads along never sees the half of a line for long; what is cut off is skipped.
    if Glibc.write(file.raw, bytes, bytes.count) > 0 { size += bytes.count }
  }
}

/// Two who follow the same.
package final class Both: OperationAudience {
  private let first: any OperationAudience
  private let second: any OperationAudience

  package init(_ first: any OperationAudience, _ second: any OperationAudience) {
    self.first = first
    self.second = second
  }

  package func note(_ text: String) { each { $0.note(text) } }
  package func warn(_ text: String) { each { $0.warn(text) } }
  package func output(_ line: String) { each { $0.output(line) } }
  package func announce(_ announcement: Announcement) { each { $0.announce(announcement) } }
  package func masked(_ text: String) -> String { first.masked(text) }
  package func progress(done: Int64, total: Int64?, unit: String) {
    each { $0.progress(done: done, total: total, unit: unit) }
  }

  private func each(_ act: (any OperationAudience) -> Void) {
    act(first)
    act(second)
  }
}
