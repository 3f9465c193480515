internal import Glibc
internal import JSON
package import LinuxSystem
package import Vocabulary

/// Reads `output.log` as it grows, from another process or later.
package final class OperationNewsReader {
  private let path: String
  private let directory: String
  private var file: Descriptor?
  private var rest: [UInt8] = []
  private let watch: Descriptor?

  package init(_ layout: Layout, _ id: OperationID) {
    path = OperationNewsLog.path(layout, id)
    directory = layout.operation(id)
    let raw = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    watch = raw < 0 ? nil : Descriptor(owning: raw)
    if raw >= 0 {
      // Without a watch, which the kernel may refuse, it is looked at from time to time.
      _ = inotify_add_watch(raw, directory, UInt32(IN_MODIFY | IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO))
    }
  }

  /// What was written since the last call, at most some hundred lines at once; empty when there is nothing new.
  package func next() -> [OperationNews] {
    if file == nil { file = try? Descriptor.open(path, flags: O_RDONLY) }
    guard let file else { return [] }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    // A line may be longer than what is read at once.
    while case let count = read(file.raw, &buffer, buffer.count), count > 0 {
      rest += buffer.prefix(count)
      let news = takeLines()
      if !news.isEmpty { return news }
    }
    return []
  }

  /// Those that are whole.
  private func takeLines() -> [OperationNews] {
    var news: [OperationNews] = []
    var start = 0
    while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
      if let json = try? JSON(text: rest[start..<end], limits: .init(bytes: 1 << 20, values: 10_000)),
        let line = try? OperationNews(json: json)
      {
        news.append(line)
      }
      start = end + 1
    }
    rest.removeFirst(start)
    // A line longer than any of ours.
    if rest.count > 2 << 20 { rest.removeAll() }
    return news
  }

  /// Until there may be news, at most `limit`, or until one of `others` is readable.
  package func wait(atMost limit: Duration, or others: [Descriptor] = []) {
    var pollers = ([watch].compactMap { $0 } + others).map {
      pollfd(fd: $0.raw, events: Int16(POLLIN), revents: 0)
    }
    // A process that dies closes its files, which inotify tells; a lock that is let go of, it does not.
    let milliseconds = Int32(clamping: watch == nil ? min(limit.milliseconds, 100) : limit.milliseconds)
    guard poll(&pollers, nfds_t(pollers.count), milliseconds) > 0, let watch else { return }
    var events = [UInt8](repeating: 0, count: 4_096)
    while read(watch.raw, &events, events.count) > 0 {}
  }
}
