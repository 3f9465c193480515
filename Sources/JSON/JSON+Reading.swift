internal import CJansson

/// Why bytes are not the JSON asked for.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  package let reason: String
  /// Bytes from the start.
  package let position: Int
  package var description: String { "\(reason) at byte \(position)" }
}

extension JSON {
  /// What is refused before a tree is built, so that a small message cannot cost much memory or stack.
  package struct Limits: Hashable, Sendable {
    package var bytes: Int
    package var depth: Int
    /// Commas and colons outside strings, plus one: at least the number of values.
    package var values: Int

    package init(bytes: Int, depth: Int = 32, values: Int) {
      self.bytes = bytes
      self.depth = depth
      self.values = values
    }

    /// What batond takes from a client.
    package static let call = Limits(bytes: 256 * 1024, values: 4_096)
    /// What a client takes from batond.
    package static let reply = Limits(bytes: 4 * 1024 * 1024, values: 400_000)
  }

  /// Reads one object or array. Refuses what jansson refuses in its strict form: bytes that are not UTF-8, lone
  /// surrogates, NUL in a string, duplicate names, integers past 64 bits, anything after the value.
  package init(text: some Collection<UInt8>, limits: Limits) throws(JSONError) {
    let outcome = text.withContiguousStorageIfAvailable { bytes in Self.read(bytes, limits: limits) }
    self = try (outcome ?? Array(text).withUnsafeBufferPointer { Self.read($0, limits: limits) }).get()
  }

  private static func read(_ bytes: UnsafeBufferPointer<UInt8>, limits: Limits) -> Result<JSON, JSONError> {
    guard bytes.count <= limits.bytes else {
      return .failure(JSONError(reason: "more than \(limits.bytes) bytes", position: limits.bytes))
    }
    if let error = overrun(bytes, limits: limits) { return .failure(error) }
    var error = json_error_t()
    let root = bytes.withMemoryRebound(to: CChar.self) { characters in
      json_loadb(characters.baseAddress, characters.count, Int(JSON_REJECT_DUPLICATES), &error)
    }
    guard let root else {
      let reason = withUnsafeBytes(of: &error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      return .failure(JSONError(reason: reason, position: max(0, Int(error.position))))
    }
    defer { json_decref(root) }
    return .success(value(of: root))
  }

  /// One pass over the bytes, without the tree: how deep and how many.
  private static func overrun(_ bytes: UnsafeBufferPointer<UInt8>, limits: Limits) -> JSONError? {
    var depth = 0
    var values = 1
    var inString = false
    var escaped = false
    for (position, byte) in bytes.enumerated() {
      // jansson passes over a NUL between values.
      if byte == 0 { return JSONError(reason: "NUL byte", position: position) }
      if inString {
        if escaped {
          escaped = false
        } else if byte == UInt8(ascii: "\\") {
          escaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): inString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): values += 1
      default: break
      }
      if depth > limits.depth { return JSONError(reason: "nested deeper than \(limits.depth)", position: position) }
      if values > limits.values { return JSONError(reason: "more than \(limits.values) values", position: position) }
    }
    return nil
  }

  /// Recursion is bounded by `Limits.depth`.
  private static func value(of node: UnsafeMutablePointer<json_t>) -> JSON {
    switch node.pointee.type {
    case JSON_OBJECT:
      var members = Members()
      var iterator = json_object_iter(node)
      while let current = iterator {
        if let name = json_object_iter_key(current), let child = json_object_iter_value(current) {
          members.append(String(cString: name), value(of: child))
        }
        iterator = json_object_iter_next(node, current)
      }
      return .object(members)
    case JSON_ARRAY:
      return .array((0..<json_array_size(node)).compactMap { json_array_get(node, $0).map(value(of:)) })
    case JSON_STRING:
      let bytes = UnsafeRawBufferPointer(start: json_string_value(node), count: json_string_length(node))
      return .string(String(decoding: bytes, as: UTF8.self))
    case JSON_INTEGER: return .integer(Int64(json_integer_value(node)))
    case JSON_REAL: return .real(json_real_value(node))
    case JSON_TRUE: return .bool(true)
    case JSON_FALSE: return .bool(false)
    default: return .null
    }
  }
}
