package import JSON
package import Settings
import Vocabulary

// The settings of a generation as they were resolved, so that the same workers are started after an upgrade, whatever
// lies on disk now and whatever the new program's defaults are.

extension Settings: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      service: try fields.required("service"), sockets: try fields.required("sockets"),
      engines: try fields.required("engines"), handover: try fields.required("handover"),
      shutdown: try fields.required("shutdown"), leases: try fields.optional("leases") ?? Settings.Leases())
  }

  package var json: JSON {
    .record([
      "service": service.json, "sockets": sockets.json, "engines": engines.json, "handover": handover.json,
      "shutdown": shutdown.json, "leases": leases == Settings.Leases() ? nil : leases.json,
    ])
  }
}

extension Settings.Service: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      description: try fields.required("description"), user: try fields.optional("user"),
      group: try fields.optional("group"), directory: try fields.required("directory"),
      environment: try fields.texts("environment"))
  }

  package var json: JSON {
    .record([
      "description": description.json, "user": user?.json, "group": group?.json, "directory": directory.json,
      "environment": .texts(environment),
    ])
  }
}

extension Settings.Socket: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      name: try fields.required("name"), address: try fields.required("address"), backlog: try fields.number("backlog"),
      nonblocking: try fields.required("nonblocking"), mode: try fields.number("mode"),
      owner: try fields.optional("owner"), group: try fields.optional("group"))
  }

  package var json: JSON {
    .record([
      "name": name.json, "address": address.json, "backlog": backlog.json, "nonblocking": nonblocking.json,
      "mode": Int(mode).json, "owner": owner?.json, "group": group?.json,
    ])
  }
}

extension SocketAddress: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    do throws(SocketAddressError) {
      try self.init(text: try Self.text(json))
    } catch { throw ShapeError(problem: error.description) }
  }

  private static func text(_ json: JSON) throws(SocketAddressError) -> String {
    if case .string(let text) = json { return text }
    return ""
  }

  package var json: JSON { .string(text) }
}

extension Settings.Engine: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let limits: [NamedLimit] = try fields.required("limits")
    self.init(
      name: try fields.required("name"), command: try fields.required("command"), workers: try fields.number("workers"),
      sockets: try fields.required("sockets"), after: try fields.required("after"),
      environment: try fields.texts("environment"), prove: try fields.optional("prove"),
      ready: try fields.required("ready"), startTimeout: try fields.duration("startTimeout"),
      stopTimeout: try fields.duration("stopTimeout"), watchdog: try fields.optional("watchdog"),
      restart: try fields.required("restart"), handover: try fields.word("handover"), stage: try fields.word("stage"),
      drain: try fields.required("drain"), umask: try fields.number("umask"),
      limits: Dictionary(limits.map { ($0.name, $0.limit) }, uniquingKeysWith: { first, _ in first }),
      user: try fields.optional("user"), group: try fields.optional("group"),
      bounds: try fields.optional("bounds") ?? ResourceBounds(),
      recycling: try fields.optional("recycling") ?? Settings.Recycling(), lease: try fields.optional("lease"),
      standby: try fields.optionalWord("standby") ?? .cold)
  }

  package var json: JSON {
    .record([
      "name": name.json, "command": command.json, "workers": workers.json, "sockets": sockets.json,
      "after": after.json, "environment": .texts(environment), "prove": prove?.json, "ready": ready.json,
      "startTimeout": .time(startTimeout), "stopTimeout": .time(stopTimeout), "watchdog": watchdog?.json,
      "restart": restart.json, "handover": .string(handover.rawValue), "stage": .string(stage.rawValue),
      "drain": drain.json, "umask": Int(umask).json,
      "limits": limits.sorted { $0.key < $1.key }.map { NamedLimit(name: $0.key, limit: $0.value) }.json,
      "user": user?.json, "group": group?.json, "bounds": bounds == ResourceBounds() ? nil : bounds.json,
      "recycling": recycling == Settings.Recycling() ? nil : recycling.json,
      "lease": lease?.json, "standby": lease == nil ? nil : .string(standby.rawValue),
    ])
  }
}

extension Settings.Leases: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let redis: String? = try fields.optional("redis")
    let postgres: String? = try fields.optional("postgres")
    let margin: Int64? = try fields.optional("margin")
    self.init(
      store: redis.map { .redis($0) } ?? postgres.map { .postgres($0) } ?? .local,
      timeToLive: try fields.duration("ttl"), margin: margin.map { .nanoseconds($0) },
      poll: try fields.duration("poll"))
  }

  package var json: JSON {
    var (redis, postgres): (String?, String?)
    switch store {
    case .local: break
    case .redis(let url): redis = url
    case .postgres(let url): postgres = url
    }
    return .record([
      "redis": redis?.json, "postgres": postgres?.json, "ttl": .time(timeToLive), "margin": margin.map { .time($0) },
      "poll": .time(poll),
    ])
  }
}

extension ResourceBounds: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      memory: try fields.optionalWide("memory").map { ByteCount($0) }, processorPercent: try fields.optional("cpu"),
      processes: try fields.optional("pids"))
  }

  package var json: JSON {
    .record(["memory": memory.map { .wide($0.bytes) }, "cpu": processorPercent?.json, "pids": processes?.json])
  }
}

extension Settings.Recycling: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let age: Int64? = try fields.optional("age")
    self.init(
      memory: try fields.optionalWide("memory").map { ByteCount($0) }, age: age.map { .nanoseconds($0) },
      requests: try fields.optional("requests"))
  }

  package var json: JSON {
    .record([
      "memory": memory.map { .wide($0.bytes) }, "age": age.map { .time($0) }, "requests": requests?.json,
    ])
  }
}

/// An entry of `limits`. An absent value is unlimited.
private struct NamedLimit: JSONValue {
  let name: String
  let limit: Settings.Limit

  init(name: String, limit: Settings.Limit) {
    self.name = name
    self.limit = limit
  }

  init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    name = try fields.required("name")
    limit = Settings.Limit(soft: try fields.optionalWide("soft"), hard: try fields.optionalWide("hard"))
  }

  var json: JSON {
    .record(["name": name.json, "soft": limit.soft.map { .wide($0) }, "hard": limit.hard.map { .wide($0) }])
  }
}

extension Settings.Prove: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      socket: try fields.required("socket"), path: try fields.required("path"), host: try fields.required("host"),
      passes: try fields.number("passes"), status: try fields.number("status"), body: try fields.optional("body"),
      timeout: try fields.duration("timeout"))
  }

  package var json: JSON {
    .record([
      "socket": socket.json, "path": path.json, "host": host.json, "passes": passes.json, "status": status.json,
      "body": body?.json, "timeout": .time(timeout),
    ])
  }
}

extension Settings.Readiness: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("is")
    switch kind {
    case "notify": self = .notify
    case "http": self = .http(Settings.URLTemplate(try fields.required("url")))
    case "tcp": self = .tcp(try fields.required("address"))
    case "exec": self = .exec(try fields.required("command"))
    case "after": self = .after(try fields.duration("time"))
    default: throw ShapeError(field: "is", problem: "\"\(kind)\" is not known")
    }
  }

  package var json: JSON {
    switch self {
    case .notify: ["is": "notify"]
    case .http(let url): ["is": "http", "url": url.text.json]
    case .tcp(let address): ["is": "tcp", "address": address.json]
    case .exec(let command): ["is": "exec", "command": command.json]
    case .after(let time): ["is": "after", "time": .time(time)]
    }
  }
}

extension Settings.Watchdog: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    let kind: String = try fields.required("is")
    switch kind {
    case "notify": self = .notify(try fields.duration("every"))
    case "http":
      self = .http(
        Settings.URLTemplate(try fields.required("url")), interval: try fields.duration("every"),
        timeout: try fields.duration("timeout"), failures: try fields.number("failures"))
    default: throw ShapeError(field: "is", problem: "\"\(kind)\" is not known")
    }
  }

  package var json: JSON {
    switch self {
    case .notify(let every): ["is": "notify", "every": .time(every)]
    case .http(let url, let interval, let timeout, let failures):
      [
        "is": "http", "url": url.text.json, "every": .time(interval), "timeout": .time(timeout),
        "failures": failures.json,
      ]
    }
  }
}

extension Settings.Restart: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      delay: try fields.duration("delay"), maxDelay: try fields.duration("maxDelay"),
      giveUpAfter: try fields.number("giveUpAfter"), healthyAfter: try fields.duration("healthyAfter"))
  }

  package var json: JSON {
    [
      "delay": .time(delay), "maxDelay": .time(maxDelay), "giveUpAfter": giveUpAfter.json,
      "healthyAfter": .time(healthyAfter),
    ]
  }
}

extension Settings.Drain: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(pending: try fields.optional("pending"), save: try fields.optional("save"))
  }

  package var json: JSON { .record(["pending": pending?.json, "save": save?.json]) }
}

extension Settings.Handover: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      strategy: try fields.word("strategy"), trial: try fields.optional("trial"), steering: try fields.word("steering"),
      maxDraining: try fields.number("maxDraining"), maxDrainTime: try fields.duration("maxDrainTime"),
      upgradeOnReload: try fields.optional("upgradeOnReload") ?? false)
  }

  package var json: JSON {
    .record([
      "strategy": .string(strategy.rawValue), "trial": trial?.json, "steering": .string(steering.rawValue),
      "maxDraining": maxDraining.json, "maxDrainTime": .time(maxDrainTime), "upgradeOnReload": upgradeOnReload.json,
    ])
  }
}

extension Settings.Trial: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    // Version 0.1.0 knew one share and no check.
    let first: UInt32 = try fields.number("share")
    let shares: [Int]? = try fields.optional("shares")
    let batch: Int? = try fields.optional("batch")
    let wait: Int64? = try fields.optional("checkTimeout")
    let command: [String]? = try fields.optional("command")
    let url: String? = try fields.optional("url")
    self.init(
      shares: shares?.map { Share(clamping: UInt32(clamping: $0)) } ?? [Share(clamping: first)], batch: batch,
      duration: try fields.duration("time"),
      check: command.map { .exec($0) } ?? url.map { .http(Settings.URLTemplate($0)) },
      checkTimeout: wait.map { .nanoseconds($0) } ?? .seconds(5))
  }

  package var json: JSON {
    var command: [String]?
    var url: String?
    switch check {
    case .exec(let words): command = words
    case .http(let template): url = template.text
    case nil: break
    }
    return .record([
      "share": Int((shares.first ?? .none).basisPoints).json, "shares": shares.map { Int($0.basisPoints) }.json,
      "batch": batch?.json, "time": .time(duration), "command": command?.json, "url": url?.json,
      "checkTimeout": .time(checkTimeout),
    ])
  }
}

extension Settings.Shutdown: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    self.init(
      timeout: try fields.duration("timeout"), intake: try fields.duration("intake"),
      engines: try fields.duration("engines"), database: try fields.duration("database"),
      redis: try fields.duration("redis"), databaseCommands: try fields.required("databaseCommands"),
      redisCommands: try fields.required("redisCommands"))
  }

  package var json: JSON {
    [
      "timeout": .time(timeout), "intake": .time(intake), "engines": .time(engines), "database": .time(database),
      "redis": .time(redis), "databaseCommands": databaseCommands.json, "redisCommands": redisCommands.json,
    ]
  }
}
