package import Vocabulary

/// Why a value does not have the shape of the interface: which field, and what it would have to be.
package struct ShapeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `engines[0].name`; empty for the value itself.
  package var field: String
  package let problem: String
  package var description: String { field.isEmpty ? problem : "\(field): \(problem)" }

  package init(field: String = "", problem: String) {
    self.field = field
    self.problem = problem
  }

  fileprivate func under(_ outer: String) -> ShapeError {
    let joined = field.isEmpty ? outer : field.hasPrefix("[") ? outer + field : "\(outer).\(field)"
    return ShapeError(field: joined, problem: problem)
  }
}

/// A type with one form on the wire: `Self(json: value.json) == value`.
package protocol JSONValue {
  init(json: JSON) throws(ShapeError)
  var json: JSON { get }
}

/// Reads the members of one object, and remembers which were asked for.
package struct Fields {
  private let members: JSON.Members
  private var known: [String] = []

  package init(_ json: JSON) throws(ShapeError) {
    guard case .object(let members) = json else { throw ShapeError(problem: "expected an object, found \(json.kind)") }
    self.members = members
  }

  package mutating func required<Value: JSONValue>(_ name: String) throws(ShapeError) -> Value {
    guard let value: Value = try optional(name) else { throw ShapeError(field: name, problem: "missing") }
    return value
  }

  /// null and absence are one, as in Varlink.
  package mutating func optional<Value: JSONValue>(_ name: String) throws(ShapeError) -> Value? {
    known.append(name)
    guard let json = members[name], json != .null else { return nil }
    do throws(ShapeError) {
      return try Value(json: json)
    } catch {
      throw error.under(name)
    }
  }

  /// Refuses members nobody asked for: a caller must not believe that a misspelt parameter had an effect.
  package func finish() throws(ShapeError) {
    if let stranger = members.list.first(where: { !known.contains($0.name) }) {
      throw ShapeError(field: stranger.name, problem: "no such parameter")
    }
  }
}

extension JSON: JSONValue {
  package init(json: JSON) { self = json }
  package var json: JSON { self }
}

extension String: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    guard case .string(let value) = json else { throw ShapeError(problem: "expected a string, found \(json.kind)") }
    self = value
  }
  package var json: JSON { .string(self) }
}

extension Bool: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    guard case .bool(let value) = json else { throw ShapeError(problem: "expected a bool, found \(json.kind)") }
    self = value
  }
  package var json: JSON { .bool(self) }
}

extension Int64: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    guard case .integer(let value) = json else { throw ShapeError(problem: "expected an integer, found \(json.kind)") }
    self = value
  }
  package var json: JSON { .integer(self) }
}

extension Int: JSONValue {
  package init(json: JSON) throws(ShapeError) { self = Int(try Int64(json: json)) }
  package var json: JSON { .integer(Int64(self)) }
}

extension Array: JSONValue where Element: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    guard case .array(let values) = json else { throw ShapeError(problem: "expected an array, found \(json.kind)") }
    self = []
    reserveCapacity(values.count)
    for (index, value) in values.enumerated() {
      do throws(ShapeError) {
        append(try Element(json: value))
      } catch {
        throw error.under("[\(index)]")
      }
    }
  }
  package var json: JSON { .array(map(\.json)) }
}

/// An enum of words.
package protocol JSONWord: JSONValue, RawRepresentable, CaseIterable where RawValue == String {}

extension JSONWord {
  package init(json: JSON) throws(ShapeError) {
    let text = try String(json: json)
    guard let value = Self(rawValue: text) else {
      let words = Self.allCases.map(\.rawValue).joined(separator: ", ")
      throw ShapeError(problem: "\"\(text)\" is none of \(words)")
    }
    self = value
  }
  package var json: JSON { .string(rawValue) }
}

extension Name {
  package init(json: JSON) throws(ShapeError) {
    let text = try String(json: json)
    do throws(NameError) {
      self = try Self(text)
    } catch {
      throw ShapeError(problem: error.description)
    }
  }
  package var json: JSON { .string(rawValue) }
}

extension ServiceName: JSONValue {}
extension EngineName: JSONValue {}
extension LeaseName: JSONValue {}
extension SocketName: JSONValue {}

extension GenerationID: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    let number = try Int64(json: json)
    guard number >= 0 else { throw ShapeError(problem: "a generation is not negative") }
    self.init(UInt64(number))
  }
  package var json: JSON { .integer(Int64(clamping: number)) }
}

extension ReleaseID: JSONValue {
  package init(json: JSON) throws(ShapeError) { self.init(try String(json: json)) }
  package var json: JSON { .string(text) }
}

extension OperationID: JSONValue {
  package init(json: JSON) throws(ShapeError) { self.init(try String(json: json)) }
  package var json: JSON { .string(text) }
}

/// Bytes, as an integer.
extension ByteCount: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    let number = try Int64(json: json)
    guard number >= 0 else { throw ShapeError(problem: "a size is not negative") }
    self.init(UInt64(number))
  }
  package var json: JSON { .integer(Int64(clamping: bytes)) }
}

/// Whole milliseconds: the field's name ends in `Ms`.
extension Duration: JSONValue {
  package init(json: JSON) throws(ShapeError) {
    let number = try Int64(json: json)
    self = .milliseconds(number)
    // Else it would be written as another than it was read.
    guard milliseconds == number else { throw ShapeError(problem: "\(number) ms are more than 292 years") }
  }
  package var json: JSON { .integer(milliseconds) }
}

/// A moment for people: microseconds since 1970 on CLOCK_REALTIME, as systemd and the journal count.
/// The field's name ends in `Usec`. Never used for deadlines.
package struct WallTime: Hashable, Sendable, Comparable, JSONValue {
  package let microseconds: Int64
  package init(microseconds: Int64) { self.microseconds = microseconds }
  package init(json: JSON) throws(ShapeError) { microseconds = try Int64(json: json) }
  package var json: JSON { .integer(microseconds) }
  package static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
}
