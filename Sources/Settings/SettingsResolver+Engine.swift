internal import Vocabulary

extension SettingsResolver {
  // MARK: [engine.NAME]

  func engine(_ engine: RawSettings.Engine, _ service: Settings.Service) -> Settings.Engine? {
    let name = name(engine.name, EngineName.self)
    let environment = values.environment(engine.environment)
    let path = searchPath(service, environment)
    let key = "engine.\(TomlText.key(engine.name.value))"
    if engine.command == nil, !findings.refused.contains("\(key).command") {
      findings.error(
        "[\(key)] has no command; a list of a program and its arguments is required",
        at: engine.name.position)
    }
    let workers = values.integer(engine.workers, .engineWorkers)
    let lease = lease(engine)
    let resolved = Settings.Engine(
      name: name ?? EngineName(unchecked: ""), command: command(engine.command, .engineCommand, path: path) ?? [],
      workers: workers, sockets: names(engine.sockets, .engineSockets), after: names(engine.after, .engineAfter),
      environment: environment, prove: prove(engine.prove, key, workers: workers),
      ready: readiness(engine.ready, key, path: path),
      startTimeout: values.duration(engine.startTimeout, .engineStartTimeout),
      stopTimeout: values.duration(engine.stopTimeout, .engineStopTimeout), watchdog: watchdog(engine.watchdog, key),
      restart: restart(engine.restart ?? RawSettings.Restart()),
      handover: values.choice(engine.handover, .engineHandover, engine.lease == nil ? .overlap : .exclusive),
      stage: values.choice(engine.stage, .engineStage, .engines), drain: drain(engine.drain, path: path),
      umask: values.octal(engine.umask, .engineUmask),
      limits: Dictionary(
        engine.limits.map { ($0.key.name, values.limit($0.value, $0.key)) }, uniquingKeysWith: { first, _ in first }),
      user: runner(engine.user, .engineUser), group: values.group(engine.group, .engineGroup), bounds: bounds(engine),
      recycling: recycling(engine), lease: lease, standby: values.choice(engine.standby, .engineStandby, .cold))
    return name == nil ? nil : resolved
  }

  private func bounds(_ engine: RawSettings.Engine) -> ResourceBounds {
    ResourceBounds(
      memory: values.size(engine.memoryMax, .engineMemoryMax),
      processorPercent: engine.cpuMax.flatMap { values.percent($0, .engineCPUMax) },
      processes: engine.pidsMax.map { values.integer($0, .enginePidsMax) })
  }

  private func recycling(_ engine: RawSettings.Engine) -> Settings.Recycling {
    Settings.Recycling(
      memory: values.size(engine.memoryLimit, .engineMemoryLimit),
      age: engine.maxAge.map { values.duration($0, .engineMaxAge, else: .seconds(86_400)) },
      requests: engine.maxRequests.map { values.integer($0, .engineMaxRequests) })
  }

  /// References, in the order of the file; a name that stands twice is an error, one that is unknown is found later.
  private func names<N: Name>(_ raw: [Located<String>], _ key: KnownKey) -> [N] {
    var result: [N] = []
    for text in raw {
      guard let name = N(rawValue: text.value) else {
        findings.error(
          "\(key.name) holds \(values.quoted(text.value)), which is no \(N.kind) name", at: text.position)
        continue
      }
      if result.contains(name) {
        findings.error("\(key.name) names \(name) twice; each \(N.kind) is accepted once", at: text.position)
      } else {
        result.append(name)
      }
    }
    return result
  }

  private func prove(_ prove: RawSettings.Prove?, _ engine: String, workers: Int) -> Settings.Prove? {
    guard let prove else { return nil }
    if prove.socket == nil, !findings.refused.contains("\(engine).prove.socket") {
      findings.error("prove has no socket; a socket of the engine is required", at: prove.position)
    }
    let path = prove.path?.value ?? KnownKey.provePath.defaultText
    if let raw = prove.path, !path.hasPrefix("/") || !Self.isRequestText(path) {
      findings.error(
        "path is \(values.quoted(path)); a path that starts with \"/\", without spaces, is accepted", at: raw.position)
    }
    let host = prove.host?.value ?? KnownKey.proveHost.defaultText
    if let raw = prove.host, host.isEmpty || !Self.isRequestText(host) {
      findings.error("host is \(values.quoted(host)); a host name without spaces is accepted", at: raw.position)
    }
    return Settings.Prove(
      socket: SocketName(unchecked: prove.socket?.value ?? ""), path: path, host: host,
      passes: passes(prove.passes, workers: workers), status: values.integer(prove.status, .proveStatus),
      body: prove.body?.value, timeout: values.duration(prove.timeout, .proveTimeout))
  }

  private func passes(_ raw: Located<Int64>?, workers: Int) -> Int {
    guard let raw else { return workers }
    guard case .integer(let range) = KnownKey.provePasses.entry.form, range.contains(raw.value) else {
      return values.integer(raw, .provePasses)
    }
    if raw.value < workers {
      findings.error(
        "passes is \(raw.value), and the engine has \(workers) workers; at least as many are accepted, "
          + "so that each is likely to have answered", at: raw.position, hint: "write passes = \(workers)")
    }
    return Int(raw.value)
  }

  /// Goes into a request line or header as it is.
  static func isRequestText(_ text: String) -> Bool { text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }

  private func readiness(_ ready: RawSettings.Readiness?, _ engine: String, path: String) -> Settings.Readiness {
    switch ready {
    case nil: return .notify
    case .word(let word):
      if word.value == "notify" { return .notify }
      findings.error(
        "ready is \(values.quoted(word.value)); \(KnownKey.engineReady.entry.form.accepted) is accepted",
        at: word.position, hint: readinessHint(word.value))
    case .table(let position, let http, let tcp, let exec, let after):
      let given = [http?.position, tcp?.position, exec?.position, after?.position].compactMap { $0 }
      guard given.count == 1 else {
        // A key of a wrong type has its own error.
        if findings.refused.contains(where: { $0.hasPrefix("\(engine).ready.") }) { return .notify }
        findings.error("ready has \(given.count) of http, tcp, exec and after; exactly one is accepted", at: position)
        return .notify
      }
      if let http, let url = url(http, .readyHTTP) { return .http(url) }
      if let tcp, isHostPort(tcp, .readyTCP) { return .tcp(tcp.value) }
      if let exec, let command = command(exec, .readyExec, path: path) { return .exec(command) }
      if let after { return .after(values.duration(after, .readyAfter)) }
    }
    return .notify
  }

  private func readinessHint(_ word: String) -> String? {
    if word.hasPrefix("http://") { return "write ready = { http = \(TomlText.quoted(word, limit: 100)) }" }
    if (try? Duration(text: word)) != nil { return "write ready = { after = \"\(word)\" }" }
    return NearestWord.hint(word, among: ["notify"])
  }

  private func watchdog(_ watchdog: RawSettings.Watchdog?, _ engine: String) -> Settings.Watchdog? {
    switch watchdog {
    case nil: return nil
    case .duration(let text): return .notify(values.duration(text, .engineWatchdog, else: .seconds(10)))
    case .table(let position, let http, let interval, let timeout, let failures):
      guard let http else {
        if findings.refused.contains("\(engine).watchdog.http") { return nil }
        findings.error("watchdog has no http; \(KnownKey.watchdogHTTP.entry.form.accepted) is required", at: position)
        return nil
      }
      let url = url(http, .watchdogHTTP)
      let every = values.duration(interval, .watchdogInterval)
      let wait = values.duration(timeout, .watchdogTimeout)
      let count = values.integer(failures, .watchdogFailures)
      return url.map { .http($0, interval: every, timeout: wait, failures: count) }
    }
  }

  private func restart(_ restart: RawSettings.Restart) -> Settings.Restart {
    let resolved = Settings.Restart(
      delay: values.duration(restart.delay, .restartDelay),
      maxDelay: values.duration(restart.maxDelay, .restartMaxDelay),
      giveUpAfter: values.integer(restart.giveUpAfter, .restartGiveUpAfter),
      healthyAfter: values.duration(restart.healthyAfter, .restartHealthyAfter))
    if resolved.delay > resolved.maxDelay, let culprit = restart.maxDelay ?? restart.delay {
      findings.error(
        "delay is \"\(resolved.delay.text)\" and max-delay is \"\(resolved.maxDelay.text)\"; "
          + "a delay of at most max-delay is accepted", at: culprit.position)
    }
    return resolved
  }

  private func drain(_ drain: RawSettings.Drain?, path: String) -> Settings.Drain {
    Settings.Drain(
      pending: command(drain?.pending, .drainPending, path: path), save: command(drain?.save, .drainSave, path: path))
  }
}

// MARK: Where batond asks

extension SettingsResolver {
  /// `http://HOST[:PORT]/PATH` on loopback, or `unix:PATH:/PATH`.
  func url(_ raw: Located<String>, _ key: KnownKey) -> Settings.URLTemplate? {
    if let reason = Self.whyNoURL(raw.value) {
      findings.error(
        "\(key.name) is \(values.quoted(raw.value)): \(reason); \"http://127.0.0.1:{port}/health\" or "
          + "\"unix:/run/app.sock:/health\" is accepted", at: raw.position)
      return nil
    }
    return Settings.URLTemplate(raw.value)
  }

  static func whyNoURL(_ text: String) -> String? {
    guard isRequestText(text) else { return "it has spaces or other characters that no URL has" }
    if text.hasPrefix("unix:") {
      let rest = text.dropFirst(5)
      guard rest.hasPrefix("/"), let colon = rest.firstIndex(of: ":"), rest[rest.index(after: colon)...].hasPrefix("/")
      else { return "after unix: come an absolute path, a colon and the path asked for" }
      return colon.utf16Offset(in: rest) > SocketAddress.pathLimit ? "the socket's path is too long" : nil
    }
    guard !text.hasPrefix("https:") else { return "TLS on loopback is not asked; plain http is" }
    guard text.hasPrefix("http://") else { return "it does not start with \"http://\"" }
    let rest = text.dropFirst(7)
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    guard !text.contains("#"), rest.count == authority.count || rest.dropFirst(authority.count).hasPrefix("/") else {
      return "after the port comes a path"
    }
    guard !authority.contains("@") else { return "it holds a user name" }
    return whyNotLoopback(authority, portRequired: false)
  }

  private func isHostPort(_ raw: Located<String>, _ key: KnownKey) -> Bool {
    guard let reason = Self.whyNotLoopback(raw.value[...], portRequired: true) else { return true }
    findings.error(
      "\(key.name) is \(values.quoted(raw.value)): \(reason); \"127.0.0.1:{port}\" is accepted", at: raw.position)
    return false
  }

  /// `127.0.0.1:8000`, `[::1]:{port}`, `localhost:8000`
  private static func whyNotLoopback(_ text: Substring, portRequired: Bool) -> String? {
    var host = text
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
      let port = text[text.index(after: colon)...]
      host = text[..<colon]
      if port != "{port}", (try? SocketAddress(text: "127.0.0.1:\(port)")) == nil || port == "0" {
        return "port \"\(port)\" is out of range; 1 to 65535 or {port} is accepted"
      }
    } else if portRequired {
      return "it has no port"
    }
    if host == "[::1]" || host == "localhost" { return nil }
    if host.hasPrefix("127."), (try? SocketAddress(text: "\(host):1")) != nil { return nil }
    return "\"\(host)\" is not this host; 127.0.0.1, [::1] and localhost are"
  }
}
