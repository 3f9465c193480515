package import JSON
import Settings
import Supervision
import Vocabulary

extension SavedChange: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(from: try fields.optional("from"), to: try fields.required("to"))
  }

  package var json: JSON { .record(["from": from?.json, "to": to.json]) }
}

extension SavedUpgrade: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), startedAt: try fields.instant("startedAt"),
      leftAt: try fields.instant("leftAt"), from: try fields.required("from"))
  }

  package var json: JSON {
    [
      "operation": operation.json, "startedAt": .time(startedAt), "leftAt": .time(leftAt), "from": from.json,
    ]
  }
}

extension SavedControl: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let operators: Int64? = try fields.optional("operators")
    self.init(
      listener: try fields.number("listener"), lock: try fields.number("lock"),
      connections: try fields.required("connections"), operators: operators.flatMap { UInt32(exactly: $0) })
  }

  package var json: JSON {
    .record([
      "listener": Int(listener).json, "lock": Int(lock).json, "connections": connections.json,
      "operators": operators.map { Int($0).json },
    ])
  }
}

extension SavedControl.Connection: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      descriptor: try fields.number("descriptor"), wait: try fields.word("wait"), more: try fields.required("more"),
      operation: try fields.optional("operation"))
  }

  package var json: JSON {
    .record([
      "descriptor": Int(descriptor).json, "wait": .string(wait.rawValue), "more": more.json,
      "operation": operation?.json,
    ])
  }
}

extension SavedReload: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let hold: Int64? = try fields.optional("hold")
    self.init(
      operation: try fields.required("operation"),
      wish: ReloadWish(release: try fields.optional("release"), hold: hold.map { .nanoseconds($0) }),
      askedAt: try fields.instant("askedAt"))
  }

  package var json: JSON {
    .record([
      "operation": operation.json, "release": wish.release?.json, "hold": wish.hold.map { .time($0) },
      "askedAt": .time(askedAt),
    ])
  }
}

extension SavedHistory: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    nextNumber = try fields.wide("nextNumber")
    let entries: [EntryState] = try fields.required("unrecorded")
    unrecorded = entries.compactMap(\.entry)
  }

  package var json: JSON {
    ["nextNumber": .wide(nextNumber), "unrecorded": unrecorded.map { EntryState(entry: $0) }.json]
  }
}

/// One of a kind that this program does not know is left out.
private struct EntryState: JSONValue {
  let entry: History.Entry?

  init(entry: History.Entry) { self.entry = entry }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("kind")
    guard let kind = MessageKind(rawValue: kind) else {
      entry = nil
      return
    }
    var happening = Happening(kind, try fields.required("text"))
    happening.engine = try fields.optional("engine")
    happening.worker = try fields.optional("worker")
    happening.generation = try fields.optional("generation")
    happening.release = try fields.optional("release")
    happening.operation = try fields.optional("operation")
    happening.from = try fields.optional("from")
    happening.to = try fields.optional("to")
    happening.reason = try fields.optional("reason")
    let pid: Int? = try fields.optional("pid")
    happening.pid = pid.flatMap { Int32(exactly: $0) }
    entry = History.Entry(
      number: try fields.wide("number"), wallMicroseconds: try fields.required("time"), happening: happening)
  }

  var json: JSON {
    guard let entry else { return .null }
    let happening = entry.happening
    return .record([
      "number": .wide(entry.number), "time": entry.wallMicroseconds.json, "kind": happening.kind.rawValue.json,
      "text": happening.text.json, "engine": happening.engine?.json, "worker": happening.worker?.json,
      "generation": happening.generation?.json, "release": happening.release?.json,
      "operation": happening.operation?.json, "from": happening.from?.json, "to": happening.to?.json,
      "reason": happening.reason?.json, "pid": happening.pid.map { Int($0).json },
    ])
  }
}

extension SavedWorker: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let port: Int? = try fields.optional("port")
    let lines: [HexBytes] = try fields.required("lastLines")
    self.init(
      id: try fields.required("id"), pid: try fields.number("pid"), port: port.flatMap { UInt16(exactly: $0) },
      startedAtWallMicroseconds: try fields.required("started"), statusText: try fields.optional("status"),
      hasExited: try fields.required("hasExited"), isKilled: try fields.required("isKilled"),
      notify: try fields.number("notify"), notifyPath: try fields.required("notifyPath"),
      output: try fields.optional("output"), error: try fields.optional("error"), lastLines: lines.map(\.bytes))
    guard pid > 1 else { throw ShapeError(field: "pid", problem: "no worker has pid \(pid)") }
  }

  package var json: JSON {
    .record([
      "id": id.json, "pid": Int(pid).json, "port": port.map { Int($0).json },
      "started": startedAtWallMicroseconds.json, "status": statusText?.json, "hasExited": hasExited.json,
      "isKilled": isKilled.json, "notify": Int(notify).json, "notifyPath": notifyPath.json, "output": output?.json,
      "error": error?.json, "lastLines": lastLines.map { HexBytes($0) }.json,
    ])
  }
}

extension SavedStream: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let unread: HexBytes = try fields.required("unread")
    self.init(
      descriptor: try fields.number("descriptor"), unread: unread.bytes, isSkipping: try fields.required("isSkipping"))
  }

  package var json: JSON {
    ["descriptor": Int(descriptor).json, "unread": HexBytes(unread).json, "isSkipping": isSkipping.json]
  }
}

extension SavedListener: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      id: try fields.required("id"), socket: try fields.required("socket"), address: try fields.required("address"),
      storeName: try fields.required("storeName"), descriptor: try fields.number("descriptor"),
      isPermanent: try fields.required("isPermanent"), privatePath: try fields.optional("privatePath"),
      isWatched: try fields.required("isWatched"), isUnsteered: try fields.required("isUnsteered"))
  }

  package var json: JSON {
    .record([
      "id": id.json, "socket": socket.json, "address": address.json, "storeName": storeName.json,
      "descriptor": Int(descriptor).json, "isPermanent": isPermanent.json, "privatePath": privatePath?.json,
      "isWatched": isWatched.json, "isUnsteered": isUnsteered.json,
    ])
  }
}

extension OperationOutcome: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      operation: try fields.required("operation"), act: try fields.word("act"), result: try fields.word("result"),
      what: try fields.required("what"), holds: try fields.required("holds"), next: try fields.optional("next"),
      lastLines: try fields.required("lastLines"), took: try fields.duration("took"),
      endedAt: try fields.instant("endedAt"), generation: try fields.optional("generation"),
      release: try fields.optional("release"), other: try fields.optional("other"))
  }

  package var json: JSON {
    .record([
      "operation": operation.json, "act": .string(act.rawValue), "result": .string(result.rawValue),
      "what": what.json, "holds": holds.json, "next": next?.json, "lastLines": lastLines.json, "took": .time(took),
      "endedAt": .time(endedAt), "generation": generation?.json, "release": release?.json, "other": other?.json,
    ])
  }
}
