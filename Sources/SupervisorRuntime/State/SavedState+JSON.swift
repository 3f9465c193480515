import JSON
import LinuxSystem
import Settings
import Supervision
import Vocabulary

/// Why a state cannot be taken up.
package struct StateError: Error, Hashable, Sendable, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

extension SavedState {
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    json.write(to: &bytes)
    return bytes
  }

  /// - Throws: in one sentence, why this program cannot go on from it.
  package init(bytes: [UInt8]) throws(StateError) {
    let json: JSON
    do throws(JSONError) {
      json = try JSON(text: bytes, limits: Self.limits)
    } catch { throw StateError("the state is not JSON: \(error)") }
    do throws(ShapeError) {
      var fields = try Fields(json)
      if let refusal = try Self.refusal(&fields) { throw ShapeError(problem: refusal) }
      try self.init(&fields)
    } catch { throw StateError("the state cannot be read: \(error)") }
    try checkReferences()
  }

  /// Why this program must not read it, whatever is in it.
  private static func refusal(_ fields: inout Fields) throws(ShapeError) -> String? {
    let form: Int64 = try fields.required("format")
    let readableBy: Int64 = try fields.required("readableBy")
    guard readableBy > format else { return nil }
    let writer: String = try fields.required("writer")
    return "it has form \(form), by version \(writer), which needs a program that knows form \(readableBy); "
      + "this one knows \(format)"
  }

  private init(_ fields: inout Fields) throws(ShapeError) {
    writer = try fields.required("writer")
    service = try fields.required("service")
    pid = try fields.number("pid")
    startedAt = try fields.instant("startedAt")
    let saved: [GenerationState] = try fields.required("generations")
    generations = saved.map(\.resolved)
    let serving: GenerationID = try fields.required("serving")
    let groups: [SteeringGroup] = try fields.required("groups")
    let nextGeneration: GenerationID = try fields.required("nextGeneration")
    let nextListener = try fields.wide("nextListener")
    let random = SplitMix64(seed: try fields.wide("random"))
    let standings: [StandingState] = try fields.optional("leaseStandings") ?? []
    do throws(ResumptionError) {
      core = try Supervisor(
        resuming: saved.map(\.generation), serving: serving, groups: groups, nextGeneration: nextGeneration,
        nextListener: nextListener, random: random,
        leases: Dictionary(standings.map { ($0.name, $0.standing) }, uniquingKeysWith: { first, _ in first }))
    } catch { throw ShapeError(problem: error.description) }
    settingsWarnings = try fields.required("settingsWarnings")
    lastOutcome = try fields.optional("lastOutcome")
    lastChange = try fields.optional("lastChange")
    changeStartedAt = try fields.optionalInstant("changeStartedAt")
    workers = try fields.required("workers")
    listeners = try fields.required("listeners")
    history = try fields.required("history")
    let pids: [Int] = try fields.required("commands")
    commands = pids.compactMap { Int32(exactly: $0) }
    reloads = try fields.optional("reloads") ?? []
    control = try fields.required("control")
    upgrade = try fields.required("upgrade")
    let memory: Int? = try fields.optional("crashMemory")
    crashMemory = memory.flatMap { Int32(exactly: $0) }
    cuts = Cuts(
      connections: try fields.optional("connectionsCut") ?? 0, uncounted: try fields.optional("cutsUncounted") ?? 0)
    isStoreMissing = try fields.optional("isStoreMissing") ?? false
    leases = try fields.optional("leases")
  }

  /// What the core relies on must be there.
  private func checkReferences() throws(StateError) {
    let numbers = descriptors
    guard Set(numbers).count == numbers.count, numbers.allSatisfy({ $0 > 2 }) else {
      throw StateError("the state names a descriptor twice, or a standard one")
    }
    let open = Set(listeners.map(\.id))
    for group in core.groups.values {
      if let missing = group.members.first(where: { !open.contains($0) }) {
        throw StateError("the state has no socket for listener \(missing)")
      }
    }
    let running = Set(workers.map(\.id))
    for generation in core.generations.values {
      for worker in generation.engines.flatMap(\.workers) where worker.isRunning && !running.contains(worker.id) {
        throw StateError("the state has no process for worker \(worker.id)")
      }
    }
  }

  private var json: JSON {
    let serving = core.serving ?? GenerationID(0)
    return .record([
      "format": .integer(Self.format), "readableBy": .integer(readableBy), "writer": writer.json,
      "service": service.json, "pid": Int(pid).json, "startedAt": .time(startedAt), "serving": serving.json,
      "nextGeneration": core.nextGeneration.json, "nextListener": .wide(core.nextListener),
      "random": .wide(core.random.state),
      "generations": generations.compactMap { resolved in
        core.generations[resolved.id].map { GenerationState(resolved, $0) }
      }.json, "groups": core.groups.sorted { $0.key < $1.key }.map(\.value).json,
      "settingsWarnings": settingsWarnings.json, "lastOutcome": lastOutcome?.json, "lastChange": lastChange?.json,
      "changeStartedAt": changeStartedAt.map { .time($0) }, "workers": workers.json, "listeners": listeners.json,
      "history": history.json, "commands": commands.map { Int($0) }.json, "reloads": reloads.json,
      "control": control.json,
      "upgrade": upgrade.json, "crashMemory": crashMemory.map { Int($0).json },
      "connectionsCut": cuts.connections == 0 ? nil : cuts.connections.json,
      "cutsUncounted": cuts.uncounted == 0 ? nil : cuts.uncounted.json,
      "isStoreMissing": isStoreMissing ? true.json : nil,
      "leases": leases?.json,
      "leaseStandings": core.leases.isEmpty
        ? nil : core.leases.sorted { $0.key < $1.key }.map { StandingState(name: $0.key, standing: $0.value) }.json,
    ])
  }
}
