internal import Vocabulary

extension SettingsResolver {
  // MARK: [leases], [redis], [database]

  func leases() -> Settings.Leases {
    let leases = raw.leases ?? RawSettings.Leases()
    let whole = values.duration(leases.timeToLive, .leasesTimeToLive)
    let margin = leases.margin.map { values.duration($0, .leasesMargin, else: whole / 4) }
    if let margin, let raw = leases.margin, margin > whole / 2 || margin < min(whole / 10, .seconds(30)) {
      findings.error(
        "margin is \(values.quoted(raw.value)), and ttl is \(whole.text); "
          + "from a tenth of it (or 30s) to the half is accepted", at: raw.position)
    }
    let redis = raw.redis.flatMap { store($0, "redis", .redisURL, .redisURLFile) }
    let database = raw.database.flatMap { store($0, "database", .databaseURL, .databaseURLFile) }
    let place: Settings.Leases.Store
    if raw.redis != nil {
      place = .redis(redis ?? "")
      if let other = raw.database {
        findings.warn("[database] is not used: leases lie in [redis]", at: other.position)
      }
    } else if raw.database != nil {
      place = .postgres(database ?? "")
    } else {
      place = .local
    }
    warnOfUnused()
    return Settings.Leases(
      store: place, timeToLive: whole, margin: margin, poll: values.duration(leases.poll, .leasesPoll))
  }

  private func warnOfUnused() {
    guard !raw.engines.contains(where: { $0.lease != nil }), let store = raw.redis ?? raw.database else { return }
    findings.warn("no engine has a lease: nothing is kept there", at: store.position)
  }

  private func store(
    _ store: RawSettings.Store, _ section: String, _ key: KnownKey, _ fileKey: KnownKey
  ) -> String? {
    guard (store.url == nil) != (store.urlFile == nil) else {
      if !findings.refused.contains("\(section).url"), !findings.refused.contains("\(section).url-file") {
        let given = store.url == nil ? "neither" : "both"
        findings.error(
          "[\(section)] has \(given) of url and url-file; exactly one is accepted", at: store.position)
      }
      return nil
    }
    if let url = store.url { return check(url.value, key, at: url.position) }
    guard let file = store.urlFile else { return nil }
    guard file.value.hasPrefix("/") else {
      findings.error(
        "url-file is \(values.quoted(file.value)); an absolute path is accepted", at: file.position)
      return nil
    }
    // A deploy asks no store, and may not be allowed to read it.
    if purpose == .deploy { return nil }
    do {
      let text = String(decoding: try HostFiles.read(file.value), as: UTF8.self)
      return check(text.trimmingWhitespace, key, at: file.position, in: file.value)
    } catch {
      findings.error("url-file \(values.quoted(file.value)) cannot be read: \(error.reason)", at: file.position)
      return nil
    }
  }

  /// What it holds may be secret: never said.
  private func check(_ url: String, _ key: KnownKey, at position: Position, in file: String? = nil) -> String? {
    guard let why = Self.whyNoStore(url, key) else { return url }
    let subject = file.map { "what \(TomlText.quoted($0, limit: 60)) holds" } ?? key.name
    let accepted = "\(key.entry.form.accepted) is accepted"
    findings.error(
      "\(subject) cannot be used: \(why); \(accepted)", at: position,
      hint: url.hasPrefix("rediss:")
        ? "let stunnel or spiped on this host carry it, and name their port: redis://127.0.0.1:PORT" : nil)
    return nil
  }

  static func whyNoStore(_ url: String, _ key: KnownKey) -> String? {
    guard let colon = url.firstRange(of: "://") else { return "it has no \"://\"" }
    guard isRequestText(url) else { return "it has spaces or other characters that no URL has" }
    let scheme = String(url[..<colon.lowerBound])
    let rest = url[colon.upperBound...]
    let kinds = key == .redisURL ? ["redis", "redis+unix"] : ["postgres", "postgresql"]
    guard kinds.contains(scheme) else {
      return scheme == "rediss" ? "TLS is not spoken here" : "its kind is not \"\(kinds[0])\""
    }
    if scheme == "redis+unix" {
      let path = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
      return path.hasPrefix("/") ? nil : "it has no absolute path"
    }
    let authority = rest.prefix { $0 != "/" && $0 != "?" }
    let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
    if host.isEmpty { return key == .redisURL ? "it names no host" : nil }
    // Several hosts are libpq's to read.
    guard !host.contains(","), let end = host.lastIndex(of: ":"), !host.hasSuffix("]") else { return nil }
    guard let port = UInt16(host[host.index(after: end)...]), port > 0 else {
      return "its port is not from 1 to 65535"
    }
    return nil
  }

  // MARK: engine.lease

  func lease(_ engine: RawSettings.Engine) -> LeaseName? {
    guard let raw = engine.lease else {
      if let standby = engine.standby, standby.value == Settings.Standby.warm.rawValue {
        findings.error(
          "standby is \"warm\", which is for engines with a lease, and \(engine.name.value) has none",
          at: standby.position)
      }
      return nil
    }
    if let handover = engine.handover, handover.value == Settings.HandoverKind.overlap.rawValue {
      findings.error(
        "handover is \"overlap\", and an engine with a lease never runs twice; \"exclusive\" is accepted",
        at: handover.position)
    }
    return name(raw, LeaseName.self)
  }
}

extension String {
  fileprivate var trimmingWhitespace: String {
    let isSpace = { (character: Character) in character.isWhitespace }
    let start = drop(while: isSpace)
    return String(start.reversed().drop(while: isSpace).reversed())
  }
}
