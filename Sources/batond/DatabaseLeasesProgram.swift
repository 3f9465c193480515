import Databases
import Deployment
import Glibc
import LeaseStores
import Leases
import LinuxSystem
import Vocabulary

/// The other end of a ``DatabaseLeases``: asks the database, and ends when nobody listens any more.
enum DatabaseLeasesProgram {
  static func run() -> Int32 {
    SignalSource.ignoreBrokenPipes()
    guard fcntl(DatabaseLeases.questions, F_GETFD) >= 0, fcntl(DatabaseLeases.news, F_GETFD) >= 0 else {
      Daemon.say("batond: \(DatabaseLeases.option) is for batond itself", to: STDERR_FILENO)
      return 64
    }
    let talk = LineTalk(Descriptor(owning: DatabaseLeases.questions))
    let news = Descriptor(owning: DatabaseLeases.news)
    do throws(StoreError) {
      guard let first = try talk.receive(within: .seconds(10)), let store = try store(first, talk) else { return 1 }
      while true {
        try rest(talk, store, news)
        guard let line = try talk.receive(within: .milliseconds(1)) else { continue }
        guard let (exchange, request) = LeaseWire.question(line) else { return 1 }
        try talk.send(LeaseWire.answer(result { () throws(StoreError) in try store.ask(exchange, request) }))
      }
    } catch { return 0 }
  }

  /// A URL that cannot be used is the answer to every question.
  private static func store(_ line: String, _ talk: LineTalk) throws(StoreError) -> (any LeaseStore)? {
    let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
    guard fields.count == 5, let timeToLive = Int64(fields[3]), let patience = Int64(fields[4]) else { return nil }
    let claimant = Claimant(
      owner: OwnerID(fields[1]), label: fields[2], timeToLive: .milliseconds(timeToLive))
    let made = result { () throws(StoreError) in
      let address: DatabaseAddress
      do throws(StepFailure) { address = try DatabaseAddress(fields[0]) } catch {
        throw StoreError("[database]", error.what, next: error.next)
      }
      return try PostgresLeaseStore(
        address, claimant: claimant, listens: true, patience: .milliseconds(patience * 9 / 10))
    }
    switch made {
    case .success(let store): return store
    case .failure(let error):
      while try talk.receive(within: .seconds(86_400)) != nil { try talk.send(LeaseWire.answer(.failure(error))) }
      return nil
    }
  }

  /// Until there is a question; tells what the store tells meanwhile.
  private static func rest(_ talk: LineTalk, _ store: any LeaseStore, _ news: Descriptor) throws(StoreError) {
    if talk.hasLine { return }
    var entries = [pollfd(fd: talk.raw, events: Int16(POLLIN), revents: 0)]
    if let told = store.news { entries.append(pollfd(fd: told.raw, events: Int16(POLLIN), revents: 0)) }
    _ = poll(&entries, nfds_t(entries.count), -1)
    guard entries.count > 1, entries[1].revents != 0 else { return }
    let names = store.takeNews()
    let text = names.map { $0.map { "\($0)\n" }.joined() } ?? "*\n"
    var bytes = Array(text.utf8)
    // One that does not read has enough to read.
    if !bytes.isEmpty {
      _ = send(news.raw, &bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    }
  }

  private static func result<Value>(_ body: () throws(StoreError) -> Value) -> Result<Value, StoreError> {
    do throws(StoreError) { return .success(try body()) } catch { return .failure(error) }
  }
}
