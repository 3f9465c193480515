package import Leases
internal import Vocabulary

extension Settings {
  /// `standby`: what becomes of an engine under a lease that another host has.
  package enum Standby: String, Hashable, Sendable, CaseIterable {
    /// It is not started.
    case cold
    /// It is started, and told when it may work.
    case warm
  }

  /// `[leases]`, and where they lie: `[redis]`, else `[database]`, else a file of this host.
  package struct Leases: Hashable, Sendable {
    package enum Store: Hashable, Sendable {
      case local
      /// A URL, the password in it.
      case redis(String)
      case postgres(String)
    }

    package var store: Store
    package var timeToLive: Duration
    /// nil: as it follows from ``timeToLive``.
    package var margin: Duration?
    package var poll: Duration

    package var timing: LeaseTiming { LeaseTiming(timeToLive: timeToLive, margin: margin, poll: poll) }

    package init(
      store: Store = .local, timeToLive: Duration = .seconds(30), margin: Duration? = nil, poll: Duration = .seconds(5)
    ) {
      self.store = store
      self.timeToLive = timeToLive
      self.margin = margin
      self.poll = poll
    }
  }
}

extension Settings.Leases.Store {
  /// Without user and password.
  package var shown: String {
    switch self {
    case .local: "this host's file"
    case .redis(let url), .postgres(let url): Self.withoutSecrets(url)
    }
  }

  /// Whether leases there are the same leases: user and password in front of the host may be others.
  package func isSamePlace(as other: Self) -> Bool {
    switch (self, other) {
    case (.local, .local): true
    case (.redis(let url), .redis(let second)), (.postgres(let url), .postgres(let second)):
      Self.withoutUser(url) == Self.withoutUser(second)
    case (.local, _), (.redis, _), (.postgres, _): false
    }
  }

  /// May hold secrets.
  private static func withoutUser(_ url: String) -> String {
    guard let colon = url.firstRange(of: "://") else { return url }
    let rest = url[colon.upperBound...]
    let place = rest.prefix { $0 != "?" && $0 != "#" }
    guard let at = place.lastIndex(of: "@") else { return url }
    return "\(url[..<colon.upperBound])\(rest[rest.index(after: at)...])"
  }

  static func withoutSecrets(_ url: String) -> String {
    guard let colon = url.firstRange(of: "://") else { return "…" }
    let rest = url[colon.upperBound...].prefix { $0 != "?" && $0 != "#" }
    let place = rest.lastIndex(of: "@").map { rest[rest.index(after: $0)...] } ?? rest
    return "\(url[..<colon.upperBound])\(place)"
  }
}
