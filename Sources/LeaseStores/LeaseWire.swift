package import Leases
internal import Vocabulary

/// How batond and its helper for leases talk: a line for a question, a line for its answer, fields with tabs between them.
/// Times are whole milliseconds. What is not exactly that is nothing: nobody guesses who may work.
package enum LeaseWire {
  package static func question(_ exchange: ExchangeID, _ request: StoreRequest) -> String {
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

  /// nil: what came is no question.
  package static func question(_ line: String) -> (ExchangeID, StoreRequest)? {
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
        guard tokens.updateValue(LeaseToken(token), forKey: name) == nil else { return nil }
      }
      request = .beat(tokens)
    case "release":
      guard let name, fields.count == 1 else { return nil }
      request = .release(name)
    case "unregister":
      guard fields.isEmpty else { return nil }
      request = .unregister
    default: return nil
    }
    return (ExchangeID(exchange), request)
  }

  package static func answer(_ answer: Result<StoreAnswer, StoreError>) -> String {
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
  package static func answer(_ line: String) -> Result<StoreAnswer, StoreError>? {
    let fields = fields(line)
    switch fields.first {
    case "granted":
      return fields.count == 2 ? UInt64(fields[1]).map { .success(.granted(LeaseToken($0))) } : nil
    case "held": return holder(fields.dropFirst()).map { .success(.heldBy($0)) }
    case "beaten":
      var renewals: [LeaseName: Renewal] = [:]
      var rest = fields.dropFirst()
      while !rest.isEmpty {
        let one = Array(rest.prefix(6))
        rest = rest.dropFirst(6)
        guard one.count == 6, let name = LeaseName(rawValue: one[0]), let renewal = renewal(one[1], one[2...]),
          renewals.updateValue(renewal, forKey: name) == nil
        else { return nil }
      }
      return .success(.beaten(renewals))
    case "released": return fields.count == 1 ? .success(.released) : nil
    case "unregistered": return fields.count == 1 ? .success(.unregistered) : nil
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

  private static func renewal(_ word: String, _ fields: ArraySlice<String>) -> Renewal? {
    if fields.allSatisfy(\.isEmpty) { return word == "renewed" ? .renewed : word == "lost" ? .lost(nil) : nil }
    return word == "lost" ? holder(fields).map { .lost($0) } : nil
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
