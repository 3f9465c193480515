internal import Leases
internal import Vocabulary

/// Warnings: settings that work and promise less than they seem to.
struct Weaknesses {
  let raw: RawSettings
  let settings: Settings
  let findings: Findings

  func warn() {
    warnOfDeploy()
    for engine in settings.engines {
      guard let raw = raw.engines.first(where: { $0.name.value == engine.name.rawValue }) else { continue }
      warnOfProof(engine, raw)
      warnOfReadiness(engine, raw)
      warnOfTimes(engine, raw)
      warnOfPort(engine, raw)
      if let lease = engine.lease, !engine.sockets.isEmpty {
        findings.warn(
          "engine \(engine.name) answers on \(list(engine.sockets)): on hosts that wait for lease \(lease) "
            + "clients wait too", at: raw.lease?.position ?? raw.name.position)
      }
      if engine.handover == .exclusive, !engine.sockets.isEmpty {
        findings.warn(
          "engine \(engine.name) is exclusive: clients of \(list(engine.sockets)) wait in the queue while it is replaced",
          at: raw.handover?.position ?? raw.name.position)
      }
    }
  }

  private func warnOfDeploy() {
    guard let deploy = settings.deploy, let raw = raw.deploy else { return }
    if deploy.health.checks.isEmpty, !settings.engines.contains(where: { $0.prove != nil }) {
      findings.warn(
        "[deploy] without [health], and no engine has a prove: a release counts as good as soon as its unit runs",
        at: raw.position)
    }
    if deploy.user == "root" {
      findings.warn("deploys, builds and hooks run as root", at: raw.user?.position ?? raw.position)
    }
    if let database = deploy.migrate?.database, let at = database.firstIndex(of: "@"),
      database[..<at].dropFirst(11).contains(":"), let position = self.raw.migrate?.database?.position
    {
      findings.warn(
        "database seems to hold a password, and everybody on this host may read the settings: "
          + "a file of secrets and database-variable keep it", at: position)
    }
    if deploy.build.commands.isEmpty == false, deploy.artifacts.isEmpty {
      findings.warn(
        "[deploy] has build and no artifacts: nothing says what a build must have made", at: raw.position)
    }
  }

  private func list(_ names: [SocketName]) -> String { names.map(\.rawValue).joined(separator: ", ") }

  private func warnOfProof(_ engine: Settings.Engine, _ raw: RawSettings.Engine) {
    let sockets = settings.sockets.filter { engine.sockets.contains($0.name) }
    guard let prove = engine.prove else {
      if !sockets.isEmpty {
        findings.warn(
          "engine \(engine.name) answers on \(list(engine.sockets)) and has no prove: "
            + "a new generation meets clients as soon as it says that it is ready", at: raw.name.position)
      }
      return
    }
    let position = raw.prove?.position ?? raw.name.position
    if settings.handover.steering == .off {
      findings.warn(
        "with steering off the proof of engine \(engine.name) is weak: the old generation may answer it, "
          + "and clients meet the new one before it is proven", at: position)
    } else if let socket = sockets.first(where: { $0.name == prove.socket }), case .unix = socket.address {
      findings.warn(
        "the proof of engine \(engine.name) is weak: before the commit \(socket.address) leads to the old generation, "
          + "so the new one is asked at a path beside it", at: position)
    }
    for socket in sockets where socket.name != prove.socket {
      if case .udp = socket.address {
        findings.warn(
          "socket \(socket.name) of engine \(engine.name) takes datagrams and is not proved: "
            + "its clients meet the new generation at the commit, in the middle of what they do", at: position)
      }
    }
  }

  private func warnOfReadiness(_ engine: Settings.Engine, _ raw: RawSettings.Engine) {
    let position =
      switch raw.ready {
      case .word(let word): word.position
      case .table(let position, _, _, _, _): position
      case nil: raw.name.position
      }
    // Two workers, or two generations, at the same port: the answer may be the other's.
    let isShared = engine.workers > 1 || engine.handover == .overlap
    let fixed = "asks a port without {port}: another worker or the old generation may answer for it"
    switch engine.ready {
    case .notify, .exec: break
    case .after(let time):
      findings.warn(
        "readiness of engine \(engine.name) is weak: alive for \(time.text) does not mean that it can work",
        at: position)
    case .http(let url):
      if !url.usesPort, isShared {
        findings.warn("readiness of engine \(engine.name) is weak: it \(fixed)", at: position)
      }
    case .tcp(let address):
      if !address.contains("{port}"), isShared {
        findings.warn("readiness of engine \(engine.name) is weak: it \(fixed)", at: position)
      }
    }
    if case .http(let url, _, _, _) = engine.watchdog, !url.usesPort, isShared {
      var place = raw.name.position
      if case .table(let position, _, _, _, _) = raw.watchdog { place = position }
      findings.warn("the watchdog of engine \(engine.name) is weak: it \(fixed)", at: place)
    }
  }

  /// PORT is the worker's own wherever {port} stands, so that one of the settings has no effect.
  private func warnOfPort(_ engine: Settings.Engine, _ raw: RawSettings.Engine) {
    guard engine.hasOwnPort, (engine.environment["PORT"] ?? settings.service.environment["PORT"]) != nil else { return }
    findings.warn(
      "engine \(engine.name) uses {port}, so PORT in its environment is that port and not the one of the settings",
      at: raw.name.position)
  }

  private func warnOfTimes(_ engine: Settings.Engine, _ raw: RawSettings.Engine) {
    let slice =
      switch engine.stage {
      case .engines: settings.shutdown.engines
      case .database: settings.shutdown.database
      case .redis: settings.shutdown.redis
      }
    // The default is not a wish: what the stage leaves of it is what is meant.
    guard let stopTimeout = raw.stopTimeout, engine.stopTimeout > slice else { return }
    findings.warn(
      "stop-timeout of engine \(engine.name) is \(engine.stopTimeout.text), and stage \(engine.stage.rawValue) of the "
        + "shutdown has \(slice.text): a shutdown kills it earlier", at: stopTimeout.position)
  }
}

extension Settings.Engine {
  /// Asked for each start of a worker: to look for a text among characters takes as long as a pipe(2) and a socket(2).
  private static func namesPort(_ text: String) -> Bool {
    text.utf8.contains(UInt8(ascii: "{")) && text.contains("{port}")
  }

  /// Whether `{port}` stands anywhere, so that each worker gets a port of its own and finds it in PORT.
  package var hasOwnPort: Bool {
    var texts = command
    switch ready {
    case .http(let url): texts.append(url.text)
    case .tcp(let address): texts.append(address)
    case .exec(let command): texts += command
    case .notify, .after: break
    }
    if case .http(let url, _, _, _) = watchdog { texts.append(url.text) }
    return texts.contains(where: Self.namesPort)
  }
}
