internal import Vocabulary

/// `[health]` and `[migrate]`.
extension SettingsResolver {
  func health(_ health: RawSettings.Health?) -> Settings.Deploy.Health {
    var checks = (health?.checks ?? []).enumerated().compactMap { check($1, number: $0) }
    if let url = health?.url {
      if let first = health?.checks.first {
        findings.error(
          "[health] has url and [[health.check]]; the one or the other is accepted", at: url.position,
          hint: "the first check stands at line \(first.position.line)")
      }
      checks = [check(RawSettings.HealthCheck(position: url.position, url: url), number: 0)].compactMap { $0 }
    } else if let health, health.checks.isEmpty, !findings.refused.contains(where: { $0.hasPrefix("health.") }) {
      findings.error(
        "[health] asks nothing; url or [[health.check]] is required", at: health.position,
        hint: "write url = \"http://127.0.0.1:8000/health\"")
    }
    let interval = values.duration(health?.interval, .healthInterval)
    let maxInterval = values.duration(
      health?.maxInterval, .healthMaxInterval, else: max(interval, KnownKey.healthMaxInterval.defaultDuration))
    if interval > maxInterval, let culprit = health?.maxInterval ?? health?.interval {
      findings.error(
        "interval is \"\(interval.text)\" and max-interval is \"\(maxInterval.text)\"; at most max-interval is accepted",
        at: culprit.position)
    }
    let passes = values.integer(health?.passes, .healthPasses)
    let deadline = values.duration(health?.deadline, .healthDeadline)
    let places = [health?.deadline?.position, health?.passes?.position, health?.interval?.position]
    if interval * max(0, passes - 1) >= deadline, let culprit = places.compactMap({ $0 }).first {
      findings.error(
        "\(passes) passes with \(interval.text) between them do not fit before the deadline, \"\(deadline.text)\"",
        at: culprit)
    }
    return Settings.Deploy.Health(
      checks: checks, passes: passes, interval: interval, maxInterval: maxInterval, deadline: deadline)
  }

  private func check(_ check: RawSettings.HealthCheck, number: Int) -> Settings.Deploy.Health.Check? {
    guard let url = check.url else {
      if !findings.refused.contains("health.check.\(number).url") {
        findings.error("[[health.check]] has no url", at: check.position)
      }
      return nil
    }
    if let reason = Self.whyNotAsked(url.value) {
      findings.error(
        "url is \(values.quoted(url.value)): \(reason); \(KnownKey.checkURL.entry.form.accepted) is accepted",
        at: url.position)
    }
    let timeout = values.duration(check.timeout, .checkTimeout)
    return Settings.Deploy.Health.Check(
      url: url.value, method: method(check.method), headers: headers(check.headers),
      statuses: values.statuses(check.statuses, .checkStatus), contains: check.contains?.value,
      json: member(check.json),
      connectTimeout: values.duration(check.connectTimeout, .checkConnectTimeout), timeout: timeout,
      maxLatency: check.maxLatency.map { values.duration($0, .checkMaxLatency, else: timeout) },
      redirects: values.integer(check.follow, .checkFollow), caFile: values.path(check.caFile, .checkCAFile))
  }

  private static func whyNotAsked(_ text: String) -> String? {
    guard isRequestText(text) else { return "it has spaces or other characters that no URL has" }
    if text.hasPrefix("unix:") { return whyNoURL(text) }
    guard let scheme = ["http://", "https://"].first(where: { text.hasPrefix($0) }) else {
      return "it does not start with http://, https:// or unix:"
    }
    let authority = text.dropFirst(scheme.count).prefix { !"/?#".contains($0) }
    if authority.contains("@") { return "it holds a user name; headers = { Authorization = ... } says it" }
    return authority.isEmpty || authority.hasPrefix(":") ? "it names no host" : nil
  }

  private func method(_ raw: Located<String>?) -> String {
    guard let raw else { return KnownKey.checkMethod.defaultText }
    if !raw.value.isEmpty, raw.value.utf8.count <= 20, raw.value.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) {
      return raw.value
    }
    let upper = raw.value.uppercased()
    findings.error(
      "method is \(values.quoted(raw.value)); a method such as \"GET\" or \"HEAD\" is accepted", at: raw.position,
      hint: upper != raw.value && upper.utf8.allSatisfy { (0x41...0x5A).contains($0) } ? "write \"\(upper)\"" : nil)
    return KnownKey.checkMethod.defaultText
  }

  private func headers(_ raw: RawSettings.Environment) -> [String: String] {
    var result: [String: String] = [:]
    for (name, value) in raw {
      // Source: RFC 9110, 5.6.2 (token) and 5.5 (field values).
      let isName =
        !name.value.isEmpty
        && name.value.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
      if !isName {
        findings.error("\(values.quoted(name.value)) is no name of a header", at: name.position)
      } else if value.value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
        findings.error("header \(name.value) has a character that no header may have", at: value.position)
      } else {
        result[name.value] = value.value
      }
    }
    return result
  }

  private func member(
    _ raw: (position: Position, path: Located<String>?, equals: Located<String>?)?
  ) -> Settings.Deploy.Health.Check.Member? {
    guard let raw else { return nil }
    guard let path = raw.path, let equals = raw.equals, !path.value.isEmpty else {
      findings.error(
        "json has no path or no equals; both are required", at: raw.position,
        hint: "write json = { path = \"status\", equals = \"ok\" }")
      return nil
    }
    return .init(path: path.value, equals: equals.value)
  }

  // MARK: [migrate]

  func migrate(_ migrate: RawSettings.Migrate) -> Settings.Deploy.Migrate? {
    guard (migrate.directory == nil) != (migrate.command == nil) else {
      if !findings.refused.contains(where: { $0.hasPrefix("migrate.") }) {
        let count = migrate.directory == nil ? "neither" : "both"
        findings.error("[migrate] has \(count) of directory and command; exactly one is accepted", at: migrate.position)
      }
      return nil
    }
    let source: Settings.Deploy.Migrate.Source
    if let directory = migrate.directory {
      source = .files(directory: values.innerPath(directory, .migrateDirectory) ?? "")
      if (migrate.database == nil) == (migrate.databaseVariable == nil),
        !findings.refused.contains(where: { $0.hasPrefix("migrate.database") })
      {
        findings.error(
          "[migrate] has \(migrate.database == nil ? "neither" : "both") of database and database-variable; "
            + "exactly one is accepted", at: migrate.position)
      }
    } else {
      source = .command(values.command(migrate.command, .migrateCommand) ?? [])
    }
    return Settings.Deploy.Migrate(
      source: source, database: database(migrate.database), databaseVariable: variable(migrate.databaseVariable),
      lockTimeout: values.duration(migrate.lockTimeout, .migrateLockTimeout),
      statementTimeout: values.duration(migrate.statementTimeout, .migrateStatementTimeout),
      timeout: values.duration(migrate.timeout, .migrateTimeout))
  }

  private func database(_ raw: Located<String>?) -> String? {
    guard let raw else { return nil }
    let isKnown = ["postgres://", "postgresql://", "sqlite:///"].contains { raw.value.hasPrefix($0) }
    guard isKnown, Self.isRequestText(raw.value) else {
      // Not shown: it may hold a password.
      findings.error(
        "database is no URL this knows; \(KnownKey.migrateDatabase.entry.form.accepted) is accepted",
        at: raw.position)
      return nil
    }
    return raw.value
  }

  private func variable(_ raw: Located<String>?) -> String? {
    guard let raw else { return nil }
    if EnvironmentName.refusal(raw.value) == nil { return raw.value }
    values.refuse(values.quoted(raw.value), .migrateDatabaseVariable, at: raw.position)
    return nil
  }
}
