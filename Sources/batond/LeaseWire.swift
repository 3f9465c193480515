import LeaseStores
import Leases
import Vocabulary

/// How batond and its helper for leases talk: a line for a question, a line for its answer, fields with tabs between them.
enum LeaseWire {
  static func question(_ exchange: ExchangeID, _ request: StoreRequest) -> String {
    let fields: [String] =
      switch request {
      case .acquire(let name, let above): ["acquire", name.rawValue, "\(above)"]
      case .beat(let tokens):
        ["beat"] + tokens.sorted { $0.key < $1.key }.flatMap { [$0.key.rawValue, "\($0.value)"] }
      case .release(let name): ["release", name.rawValue]
      case .unregister: ["unregister"]
      }
    return line(["\(exchange)"] + fields)
  }

  static func question(_ line: String) -> (ExchangeID, StoreRequest)? {
    var fields = fields(line)[...]
    guard let exchange = fields.popFirst().flatMap({ UInt64($0) }), let kind = fields.popFirst() else { return nil }
    let name = fields.first.flatMap { LeaseName(rawValue: $0) }
    let request: StoreRequest
    switch kind {
    case "acquire":
      guard let name, fields.count == 2, let above = fields.last.flatMap({ UInt64($0) }) else { return nil }
      request = .acquire(name, above: LeaseToken(above))
    case "beat":
      var tokens: [LeaseName: LeaseToken] = [:]
      while let name = fields.popFirst() {
        guard let name = LeaseName(rawValue: name), let token = fields.popFirst().flatMap({ UInt64($0) }) else {
          return nil
        }
        tokens[name] = LeaseToken(token)
      }
      request = .beat(tokens)
    case "release":
      guard let name else { return nil }
      request = .release(name)
    case "unregister": request = .unregister
    default: return nil
    }
    return (ExchangeID(exchange), request)
  }

  static func answer(_ answer: Result<StoreAnswer, StoreError>) -> String {
    switch answer {
    case .success(.granted(let token)): line(["granted", "\(token)"])
    case .success(.heldBy(let holder)): line(["held"] + fields(of: holder))
    case .success(.beaten(let renewals)):
      line(
        ["beaten"]
          + renewals.sorted { $0.key < $1.key }.flatMap { name, renewal in
            switch renewal {
            case .renewed: [name.rawValue, "renewed", "", "", "", ""]
            case .lost(let holder): [name.rawValue, "lost"] + fields(of: holder)
            }
          })
    case .success(.released): line(["released"])
    case .success(.unregistered): line(["unregistered"])
    case .failure(let error): line(["error", error.store, error.why, error.next ?? ""])
    }
  }

  /// nil: what came is no answer.
  static func answer(_ line: String) -> Result<StoreAnswer, StoreError>? {
    let fields = fields(line)
    switch fields.first {
    case "granted":
      return fields.count == 2 ? UInt64(fields[1]).map { .success(.granted(LeaseToken($0))) } : nil
    case "held": return holder(fields.dropFirst()).map { .success(.heldBy($0)) }
    case "beaten":
      var renewals: [LeaseName: Renewal] = [:]
      var rest = fields.dropFirst()
      while !rest.isEmpty {
        let one = rest.prefix(6)
        rest = rest.dropFirst(6)
        guard one.count == 6, let name = one.first.flatMap({ LeaseName(rawValue: $0) }) else { return nil }
        renewals[name] = one.dropFirst().first == "renewed" ? .renewed : .lost(holder(one.dropFirst(2)))
      }
      return .success(.beaten(renewals))
    case "released": return .success(.released)
    case "unregistered": return .success(.unregistered)
    case "error":
      guard fields.count == 4 else { return nil }
      return .failure(StoreError(fields[1], fields[2], next: fields[3].isEmpty ? nil : fields[3]))
    default: return nil
    }
  }

  private static func fields(of holder: Holder?) -> [String] {
    guard let holder else { return ["", "", "", ""] }
    return [holder.owner.text, "\(holder.token)", "\(holder.remaining.milliseconds)", holder.label]
  }

  private static func holder(_ fields: ArraySlice<String>) -> Holder? {
    let fields = Array(fields)
    guard fields.count == 4, !fields[0].isEmpty, let token = UInt64(fields[1]), let remaining = Int64(fields[2]) else {
      return nil
    }
    return Holder(
      owner: OwnerID(fields[0]), label: fields[3], token: LeaseToken(token), remaining: .milliseconds(remaining))
  }

  private static func line(_ fields: [String]) -> String {
    fields.map { String($0.map { "\t\n\r\r\n".contains($0) ? " " : $0 }) }.joined(separator: "\t") + "\n"
  }

  private static func fields(_ line: String) -> [String] {
    line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
  }
}
