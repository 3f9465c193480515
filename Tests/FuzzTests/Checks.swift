import ControlProtocol
import Glibc
import JSON
import LinuxSystem
import Settings
import Systemd

@testable import LeaseStores
@testable import SupervisorRuntime

extension Checks {
  static func settings(_ bytes: [UInt8], _: inout Mutator) throws {
    switch SettingsReader.examine(bytes, file: "/nowhere/app.toml", isRoot: false) {
    case .success(let read): _ = ResolvedText.annotated(read)
    case .failure(let errors):
      if errors.errors.isEmpty { throw Finding("refused without a reason") }
    }
  }

  /// Calls as a caller sends them, in pieces.
  static func varlink(_ bytes: [UInt8], _ mutator: inout Mutator) throws {
    let whole = messages([bytes[...]])
    try same(whole, messages(mutator.pieces(bytes)), "in pieces")
    for message in whole {
      guard let call = try? Call(message: message) else { continue }
      try same(try Call(message: call.message.dropLast()), call, "a call again")
      guard let route = try? Route.of(call), let request = try? route.request(of: call) else { continue }
      try same(try route.request(of: request.call), request, "a request again")
    }
  }

  private static func messages(_ pieces: [ArraySlice<UInt8>]) -> [[UInt8]] {
    var splitter = MessageSplitter(limit: 65_536)
    var found: [[UInt8]] = []
    for piece in pieces {
      splitter.append(piece)
      while let message = try? splitter.next() { found.append(Array(message)) }
    }
    return found
  }

  /// What batond answers, as `baton` reads it.
  static func replies(_ bytes: [UInt8], _: inout Mutator) throws {
    guard let json = try? JSON(text: bytes, limits: .reply), let reply = try? CallReply(json: json) else { return }
    try same(try CallReply(json: reply.json), reply, "a reply again")
    if let status = try? StatusReport(json: reply.parameters) {
      try same(try StatusReport(json: status.json), status, "a status again")
    }
    if let verdict = try? VerdictReport(json: reply.parameters) {
      try same(try VerdictReport(json: verdict.json), verdict, "a verdict again")
    }
    if let events = try? EventsReply(json: reply.parameters) {
      try same(try EventsReply(json: events.json), events, "events again")
    }
  }

  static func notify(_ bytes: [UInt8], _: inout Mutator) throws {
    let said = Notification.parse(bytes)
    if said.count > bytes.count { throw Finding("more is said than was sent") }
    for one in said { _ = Notification.parse(Array(one.lines.utf8)) }
  }

  static func http(_ bytes: [UInt8], _ mutator: inout Mutator) throws {
    try same(answer([bytes[...]]), answer(mutator.pieces(bytes)), "in pieces")
  }

  private struct Outcome: Equatable {
    var status: Int?
    var body: [UInt8] = []
    var isComplete = false
    var fault: String?
  }

  private static func answer(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
    var answer = HTTPAnswer()
    var outcome = Outcome()
    do throws(HTTPAnswerFault) {
      for piece in pieces where !answer.isComplete { try answer.take(piece) }
      try answer.end()
      outcome.body = answer.body
    } catch { outcome.fault = "refused" }
    outcome.status = answer.status
    outcome.isComplete = answer.isComplete
    return outcome
  }

  /// What one image of batond leaves for the next.
  static func state(_ bytes: [UInt8], _: inout Mutator) throws {
    guard let state = try? SavedState(bytes: bytes) else { return }
    try same(try SavedState(bytes: state.bytes), state, "a state again")
  }

  /// What a batond that died leaves.
  static func crash(_ bytes: [UInt8], _: inout Mutator) throws {
    guard let record = try? CrashRecord(bytes: bytes) else { return }
    try same(try CrashRecord(bytes: record.bytes), record, "a record again")
  }

  /// The memory file it lies in, as somebody else may have written it.
  static func memory(_ bytes: [UInt8], _ mutator: inout Mutator) throws {
    let memory = try SlottedMemory(name: "fuzz")
    if mutator.below(2) == 0 { try memory.write(Array("whole".utf8)) }
    let place = off_t(mutator.below(2)) * off_t(SlottedMemory.limit + 32) + off_t(mutator.below(64))
    _ = bytes.withUnsafeBytes { pwrite(memory.file.raw, $0.baseAddress, $0.count, place) }
    let again = SlottedMemory(adopting: memory.file)
    _ = again.newest
    try again.write([1, 2, 3])
    try same(again.newest, [1, 2, 3], "what was written last")
  }

  static func redis(_ bytes: [UInt8], _ mutator: inout Mutator) throws {
    try same(values([bytes[...]]), values(mutator.pieces(bytes)), "in pieces")
  }

  private static func values(_ pieces: [ArraySlice<UInt8>]) -> [RedisValue?] {
    var reader = RedisReader()
    var found: [RedisValue?] = []
    do throws(RedisReader.Refusal) {
      for piece in pieces {
        try reader.append(piece)
        while let value = try reader.next() {
          found.append(value)
          if found.count > 10_000 { return found }
        }
      }
    } catch { found.append(nil) }
    return found
  }
}
