package import JSON
import Supervision
import Vocabulary

// The core's values in the saved state. Plans are not written: they follow from the settings.

extension ListenerID: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(key: SocketKey(try fields.required("address")), number: try fields.number("number"))
  }

  package var json: JSON { ["address": key.text.json, "number": .integer(Int64(clamping: number))] }
}

extension WorkerID: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      generation: try fields.required("generation"), engine: try fields.required("engine"),
      slot: try fields.number("slot"), run: try fields.number("run"))
  }

  package var json: JSON {
    ["generation": generation.json, "engine": engine.json, "slot": slot.json, "run": run.json]
  }
}

extension SteeringRule: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let serving: ListenerID = try fields.required("serving")
    guard let candidate: ListenerID = try fields.optional("candidate") else {
      self = .everyone(serving)
      return
    }
    let share: Int64? = try fields.optional("share")
    if let share {
      guard let points = UInt32(exactly: share) else { throw ShapeError(field: "share", problem: "out of range") }
      self = .share(Share(clamping: points), candidate: candidate, serving: serving)
    } else {
      self = .probes(candidate: candidate, serving: serving)
    }
  }

  package var json: JSON {
    switch self {
    case .everyone(let serving): ["serving": serving.json]
    case .probes(let candidate, let serving): ["serving": serving.json, "candidate": candidate.json]
    case .share(let share, let candidate, let serving):
      ["serving": serving.json, "candidate": candidate.json, "share": Int(share.basisPoints).json]
    }
  }
}

extension SteeringGroup: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let idle: [ListenerID] = try fields.required("idle")
    let permanent: [ListenerID] = try fields.required("permanent")
    let unserved: [ListenerID] = try fields.optional("unserved") ?? []
    let group = SteeringGroup(
      kind: try fields.word("kind"), members: try fields.required("members"), rule: try fields.required("rule"),
      idle: Set(idle), permanent: Set(permanent), unserved: Set(unserved),
      isInForce: try fields.required("isInForce"))
    guard let group else { throw ShapeError(problem: "its members and its rule contradict each other") }
    self = group
  }

  package var json: JSON {
    .record([
      "kind": .string(kind.rawValue), "members": members.json, "rule": rule.json, "idle": idle.sorted().json,
      "permanent": permanent.sorted().json, "isInForce": isInForce.json,
      "unserved": unserved.isEmpty ? nil : unserved.sorted().json,
    ])
  }
}

extension Supervision.ExitReason: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    if let isSure: Bool = try fields.optional("outOfMemory") {
      self = .outOfMemory(isSure: isSure)
    } else if let signal: Int64 = try fields.optional("signal") {
      self = .signalled(Int32(truncatingIfNeeded: signal))
    } else {
      self = .exited(try fields.number("status"))
    }
  }

  package var json: JSON {
    switch self {
    case .exited(let status): ["status": Int(status).json]
    case .signalled(let signal): ["signal": Int(signal).json]
    // Who does not know the second reads the first.
    case .outOfMemory(let isSure): ["signal": 9, "outOfMemory": isSure.json]
    }
  }
}

extension WorkerFault: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("is")
    switch kind {
    case "exited": self = .exited(try fields.required("how"))
    case "notReady": self = .notReady(within: try fields.duration("within"))
    case "spawn": self = .spawn(try fields.required("why"))
    case "hangs": self = .hangs(try fields.required("why"))
    default: throw ShapeError(field: "is", problem: "\"\(kind)\" is not known")
    }
  }

  package var json: JSON {
    switch self {
    case .exited(let reason): ["is": "exited", "how": reason.json]
    case .notReady(let limit): ["is": "notReady", "within": .time(limit)]
    case .spawn(let why): ["is": "spawn", "why": why.json]
    case .hangs(let why): ["is": "hangs", "why": why.json]
    }
  }
}

extension Worker.State: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("is")
    switch kind {
    case "idle": self = .idle
    case "waiting": self = .waiting(until: try fields.instant("until"))
    case "starting":
      self = .starting(
        since: try fields.instant("since"), readyAt: try fields.optionalInstant("readyAt"),
        deadline: try fields.instant("deadline"))
    case "ready": self = .ready(since: try fields.instant("since"))
    case "stopping":
      self = .stopping(
        Worker.Stopping(
          resuming: try fields.instant("since"), killAt: try fields.instant("killAt"), step: try Self.step(&fields)))
    case "clearing": self = .clearing(since: try fields.instant("since"))
    case "failed": self = .failed(try fields.required("fault"))
    default: throw ShapeError(field: "is", problem: "\"\(kind)\" is not known")
    }
  }

  private static func step(_ fields: inout Fields) throws(ShapeError) -> Worker.Stopping.Step {
    let step: String = try fields.required("step")
    switch step {
    case "finishing": return .finishing(saveAt: try fields.optionalInstant("saveAt"))
    case "saving": return .saving
    case "leaving": return .leaving
    case "dumping": return .dumping
    default: throw ShapeError(field: "step", problem: "\"\(step)\" is not known")
    }
  }

  package var json: JSON {
    switch self {
    case .idle: return ["is": "idle"]
    case .waiting(let until): return ["is": "waiting", "until": .time(until)]
    case .starting(let since, let readyAt, let deadline):
      return .record([
        "is": "starting", "since": .time(since), "readyAt": readyAt.map { .time($0) }, "deadline": .time(deadline),
      ])
    case .ready(let since): return ["is": "ready", "since": .time(since)]
    case .stopping(let stopping):
      var saveAt: Instant?
      let step: JSON
      switch stopping.step {
      case .finishing(let at):
        saveAt = at
        step = "finishing"
      case .saving: step = "saving"
      case .leaving: step = "leaving"
      case .dumping: step = "dumping"
      }
      return .record([
        "is": "stopping", "since": .time(stopping.since), "killAt": .time(stopping.killAt), "step": step,
        "saveAt": saveAt.map { .time($0) },
      ])
    case .clearing(let since): return ["is": "clearing", "since": .time(since)]
    case .failed(let fault): return ["is": "failed", "fault": fault.json]
    }
  }
}

extension Worker: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      resuming: try fields.required("id"), state: try fields.required("state"),
      isWanted: try fields.required("isWanted"), mainIsGone: try fields.required("mainIsGone"),
      crashes: try fields.number("crashes"), restarts: try fields.number("restarts"),
      lastFault: try fields.optional("lastFault"), fault: try fields.optional("fault"),
      liveBy: try fields.optionalInstant("liveBy"), missed: try fields.number("missed"),
      recycleAt: try fields.optionalInstant("recycleAt"), recyclings: try fields.optional("recyclings") ?? 0)
  }

  package var json: JSON {
    .record([
      "id": id.json, "state": state.json, "isWanted": isWanted.json, "mainIsGone": mainIsGone.json,
      "crashes": crashes.json, "restarts": restarts.json, "lastFault": lastFault?.json, "fault": fault?.json,
      "liveBy": liveBy.map { .time($0) }, "missed": missed.json,
      "recycleAt": recycleAt.map { .time($0) }, "recyclings": recyclings.json,
    ])
  }
}
