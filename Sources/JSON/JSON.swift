/// A JSON value (RFC 8259) as the control protocol uses it: integers are exact, the order of members is kept.
package enum JSON: Hashable, Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  case real(Double)
  case string(String)
  case array([JSON])
  case object(Members)

  /// The members of an object, in the order written. Names are unique in what ``init(text:limits:)`` returns.
  package struct Members: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    package struct Member: Hashable, Sendable {
      package let name: String
      package let value: JSON
    }

    package private(set) var list: [Member] = []

    package init() {}

    package init(dictionaryLiteral elements: (String, JSON)...) {
      list = elements.map { Member(name: $0.0, value: $0.1) }
    }

    package subscript(name: String) -> JSON? { list.first { $0.name == name }?.value }

    package mutating func append(_ name: String, _ value: JSON) {
      list.append(Member(name: name, value: value))
    }

    /// Leaves the member out when there is no value: that is how Varlink writes an absent optional.
    package mutating func append(_ name: String, _ value: (some JSONValue)?) {
      if let value { append(name, value.json) }
    }
  }

  package subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members[name]
  }

  /// What a shape error calls this value.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a bool"
    case .integer: "an integer"
    case .real: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int64) { self = .integer(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(nilLiteral: ()) { self = .null }
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  package init(dictionaryLiteral elements: (String, JSON)...) {
    var members = Members()
    for (name, value) in elements { members.append(name, value) }
    self = .object(members)
  }
}
