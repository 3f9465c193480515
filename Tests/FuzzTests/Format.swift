/// What must hold of an input and does not.
struct Finding: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Something that reads bytes others wrote. `check` gives it an input: it ends in time, without a trap, and what it read
/// can be written and read again.
struct Format: Sendable, CustomStringConvertible {
  let name: String
  let check: @Sendable (_ bytes: [UInt8], _ mutator: inout Mutator) throws -> Void

  var description: String { name }

  /// Without a time to fill. A database is opened for each input of its own.
  var inputs: Int { name == "leases" ? 80 : 600 }

  static let all = [
    Format(name: "settings", check: Checks.settings),
    Format(name: "varlink", check: Checks.varlink),
    Format(name: "replies", check: Checks.replies),
    Format(name: "notify", check: Checks.notify),
    Format(name: "http", check: Checks.http),
    Format(name: "state", check: Checks.state),
    Format(name: "crash", check: Checks.crash),
    Format(name: "memory", check: Checks.memory),
    Format(name: "redis", check: Checks.redis),
    Format(name: "leases", check: Checks.leases),
  ]
}

enum Checks {
  /// Two ways to read the same that must agree.
  static func same<Value: Equatable>(_ left: Value, _ right: Value, _ what: String) throws {
    if left != right {
      throw Finding("\(what): \(String(describing: left).prefix(400)) | \(String(describing: right).prefix(400))")
    }
  }
}
