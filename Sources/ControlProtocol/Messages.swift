package import JSON

/// A method call as it comes over the wire.
package struct Call: Hashable, Sendable {
  package var method: String
  package var parameters: JSON
  /// The caller wants no reply.
  package var oneway: Bool
  /// The caller takes several replies.
  package var more: Bool

  package init(method: String, parameters: JSON = [:], oneway: Bool = false, more: Bool = false) {
    self.method = method
    self.parameters = parameters
    self.oneway = oneway
    self.more = more
  }

  /// Why a message is no call. The connection is closed: whoever sends this does not speak the protocol.
  package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String
  }

  package init(message: some Collection<UInt8>) throws(Malformed) {
    let json: JSON
    do throws(JSONError) {
      json = try JSON(text: message, limits: .call)
    } catch {
      throw Malformed(description: "not JSON: \(error)")
    }
    do throws(ShapeError) {
      self = try Self(json: json)
    } catch {
      throw Malformed(description: "not a call: \(error)")
    }
  }

  private init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    method = try fields.required("method")
    parameters = try fields.optional("parameters") ?? [:]
    oneway = try fields.optional("oneway") ?? false
    more = try fields.optional("more") ?? false
    guard case .object = parameters else { throw ShapeError(field: "parameters", problem: "expected an object") }
    // Leaving Varlink for another protocol on the same connection is not offered.
    if try fields.optional("upgrade") ?? false { throw ShapeError(field: "upgrade", problem: "not offered") }
    if oneway && more { throw ShapeError(field: "oneway", problem: "not together with more") }
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("method", method.json)
    members.append("parameters", parameters)
    if oneway { members.append("oneway", true) }
    if more { members.append("more", true) }
    return .object(members)
  }

  /// With its NUL.
  package var message: [UInt8] { json.message }
}

/// One reply to a call; with `more` there may be several, all but the last with `continues`.
package struct CallReply: Hashable, Sendable, JSONValue {
  package var error: String?
  package var parameters: JSON
  package var continues: Bool

  package init(error: String? = nil, parameters: JSON, continues: Bool = false) {
    self.error = error
    self.parameters = parameters
    self.continues = continues
  }

  package init(json: JSON) throws(ShapeError) {
    var fields = try Fields(json)
    error = try fields.optional("error")
    parameters = try fields.optional("parameters") ?? [:]
    continues = try fields.optional("continues") ?? false
  }

  package var json: JSON {
    var members = JSON.Members()
    members.append("error", error)
    members.append("parameters", parameters)
    if continues { members.append("continues", true) }
    return .object(members)
  }

  /// With its NUL.
  package var message: [UInt8] { json.message }
}

extension JSON {
  /// As Varlink sends it: compact, then one NUL.
  package var message: [UInt8] {
    var bytes: [UInt8] = []
    write(to: &bytes)
    bytes.append(0)
    return bytes
  }
}
