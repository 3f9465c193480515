package import JSON
import LinuxSystem
import Settings
import Supervision
import Vocabulary

/// A generation in the saved state: what it is started from, and how far it is.
struct GenerationState: JSONValue {
  let resolved: ResolvedGeneration
  let generation: Generation

  init(_ resolved: ResolvedGeneration, _ generation: Generation) {
    self.resolved = resolved
    self.generation = generation
  }

  init(json: JSON) throws(ShapeError) {
    resolved = try ResolvedState(json: json).resolved
    var fields = try Fields(json)
    let plan = resolved.plan
    let role: Generation.Role = try fields.required("role")
    let engines: [EngineState] = try fields.required("engines")
    let bindings: [Binding] = try fields.required("bindings")
    do throws(ResumptionError) {
      generation = try Generation(
        resuming: plan, role: role,
        engines: engines.compactMap { engine in
          plan.engine(engine.name).map { Engine(resuming: $0, phase: engine.phase, workers: engine.workers) }
        }, bindings: Dictionary(bindings.map { ($0.socket, $0.listener) }, uniquingKeysWith: { first, _ in first }))
    } catch { throw ShapeError(problem: error.description) }
    guard engines.count == generation.engines.count else {
      throw ShapeError(field: "engines", problem: "not those of its settings")
    }
  }

  var json: JSON {
    [
      "id": resolved.id.json, "release": resolved.release.json, "directory": resolved.releaseDirectory.json,
      "accounts": resolved.accounts.sorted { $0.key < $1.key }.map { NamedAccount(key: $0.key, account: $0.value) }
        .json,
      "settings": resolved.settings.json, "role": generation.role.json,
      "engines": generation.engines.map { EngineState($0) }.json,
      "bindings": generation.bindings.sorted { $0.key < $1.key }.map { Binding(socket: $0.key, listener: $0.value) }
        .json,
    ]
  }
}

/// What a generation is started from.
struct ResolvedState: JSONValue {
  let resolved: ResolvedGeneration

  init(_ resolved: ResolvedGeneration) { self.resolved = resolved }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let accounts: [NamedAccount] = try fields.required("accounts")
    resolved = ResolvedGeneration(
      id: try fields.required("id"), settings: try fields.required("settings"), release: try fields.required("release"),
      releaseDirectory: try fields.required("directory"),
      accounts: Dictionary(accounts.map { ($0.key, $0.account) }, uniquingKeysWith: { first, _ in first }))
  }

  var json: JSON {
    [
      "id": resolved.id.json, "release": resolved.release.json, "directory": resolved.releaseDirectory.json,
      "accounts": resolved.accounts.sorted { $0.key < $1.key }.map { NamedAccount(key: $0.key, account: $0.value) }
        .json,
      "settings": resolved.settings.json,
    ]
  }
}

private struct EngineState: JSONValue {
  let name: EngineName
  let phase: Engine.Phase
  let workers: [Worker]

  init(_ engine: Engine) {
    name = engine.plan.name
    phase = engine.phase
    workers = engine.workers
  }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    name = try fields.required("name")
    phase = try fields.word("phase")
    workers = try fields.required("workers")
  }

  var json: JSON { ["name": name.json, "phase": .string(phase.rawValue), "workers": workers.json] }
}

private struct Binding: JSONValue {
  let socket: SocketName
  let listener: ListenerID

  init(socket: SocketName, listener: ListenerID) {
    self.socket = socket
    self.listener = listener
  }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    socket = try fields.required("socket")
    listener = try fields.required("listener")
  }

  var json: JSON { ["socket": socket.json, "listener": listener.json] }
}

private struct NamedAccount: JSONValue {
  let key: String
  let account: Account

  init(key: String, account: Account) {
    self.key = key
    self.account = account
  }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    key = try fields.required("key")
    let groups: [Int] = try fields.required("groups")
    let user: UInt32 = try fields.number("user")
    account = Account(
      user: Users.User(
        name: try fields.required("name"), id: user, group: try fields.number("userGroup"),
        home: try fields.required("home"), shell: try fields.required("shell")),
      identity: Identity(
        user: user, group: try fields.number("group"), groups: groups.compactMap { UInt32(exactly: $0) }))
  }

  var json: JSON {
    [
      "key": key.json, "name": account.user.name.json, "user": Int(account.identity.user).json,
      "userGroup": Int(account.user.group).json, "home": account.user.home.json, "shell": account.user.shell.json,
      "group": Int(account.identity.group).json, "groups": account.identity.groups.map { Int($0) }.json,
    ]
  }
}

extension Generation.Role: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("is")
    switch kind {
    case "serving": self = .serving
    case "draining":
      self = .draining(
        Generation.Draining(
          since: try fields.instant("since"), cutAt: try fields.instant("cutAt"),
          hasServed: try fields.required("hasServed"), isCut: try fields.required("isCut")))
    default: throw ShapeError(field: "is", problem: "\"\(kind)\" is not known")
    }
  }

  package var json: JSON {
    switch self {
    case .candidate: ["is": "candidate"]
    case .serving: ["is": "serving"]
    case .draining(let draining):
      [
        "is": "draining", "since": .time(draining.since), "cutAt": .time(draining.cutAt),
        "hasServed": draining.hasServed.json, "isCut": draining.isCut.json,
      ]
    }
  }
}
