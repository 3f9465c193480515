import CSystemd
import Glibc

/// A connection to systemd over D-Bus, for one thread. Source: org.freedesktop.systemd1(5), sd-bus(3).
///
/// Every call waits for its answer, at most ``timeout``: not for a loop that must not wait. libsystemd is opened with the
/// first connection; a process that makes none does not pay for it.
public final class SystemBus {
  public enum Address: Hashable, Sendable {
    /// systemd's own socket when it can be had (root), else the system bus.
    case automatic
    /// `$DBUS_SYSTEM_BUS_ADDRESS` or the standard one.
    case system
    /// `/run/systemd/private`: root only, and there before the bus is.
    case manager
    /// As D-Bus writes addresses: `unix:path=/…`.
    case other(String)
  }

  /// For one call.
  public var timeout: Duration
  let library: UnsafePointer<csd_bus>
  let connection: OpaquePointer

  static let destination = "org.freedesktop.systemd1"
  static let managerPath = "/org/freedesktop/systemd1"
  static let managerInterface = "org.freedesktop.systemd1.Manager"

  public init(_ address: Address = .automatic, timeout: Duration = .seconds(25)) throws(BusError) {
    var reason: UnsafePointer<CChar>?
    guard let library = csd_load_bus(&reason) else {
      throw BusError(
        "open libsystemd", message: reason.map { String(cString: $0) } ?? "unknown reason",
        remedy: "install the package libsystemd0")
    }
    self.library = library
    self.timeout = timeout
    connection = try Self.connect(library.pointee, address)
  }

  deinit { _ = library.pointee.sd_bus_flush_close_unref(connection) }

  private static func connect(_ library: csd_bus, _ address: Address) throws(BusError) -> OpaquePointer {
    switch address {
    case .other(let text): return try connect(library, to: text)
    case .manager: return try connect(library, to: "unix:path=/run/systemd/private")
    case .automatic where geteuid() == 0:
      if let connection = try? connect(library, to: "unix:path=/run/systemd/private") { return connection }
      return try connect(library, .system)
    case .automatic, .system:
      var connection: OpaquePointer?
      let answer = library.sd_bus_open_system(&connection)
      guard answer >= 0, let connection else { throw BusError("reach the system bus", answer: answer) }
      return connection
    }
  }

  /// Without a bus between: no names, no greeting.
  private static func connect(_ library: csd_bus, to address: String) throws(BusError) -> OpaquePointer {
    var connection: OpaquePointer?
    var answer = library.sd_bus_new(&connection)
    guard answer >= 0, let connection else { throw BusError("reach \(address)", answer: answer) }
    answer = library.sd_bus_set_address(connection, address)
    if answer >= 0 { answer = library.sd_bus_start(connection) }
    guard answer >= 0 else {
      _ = library.sd_bus_flush_close_unref(connection)
      throw BusError("reach \(address)", answer: answer)
    }
    return connection
  }

  // MARK: Calls

  /// Calls a method whose arguments are strings or numbers, and reads the answer while it is there.
  func call<Answer>(
    _ attempt: String, path: String, interface: String, method: String, _ arguments: [Argument] = [],
    read: (MessageReader) -> Answer?
  ) throws(BusError) -> Answer {
    var request: OpaquePointer?
    var answer = library.pointee.sd_bus_message_new_method_call(
      connection, &request, Self.destination, path, interface, method)
    guard answer >= 0, let request else { throw BusError(attempt, answer: answer) }
    defer { _ = library.pointee.sd_bus_message_unref(request) }
    for argument in arguments {
      answer = append(argument, to: request)
      guard answer >= 0 else { throw BusError(attempt, answer: answer) }
    }
    var error = sd_bus_error()
    defer { library.pointee.sd_bus_error_free(&error) }
    var reply: OpaquePointer?
    answer = library.pointee.sd_bus_call(connection, request, timeout.wholeMicroseconds, &error, &reply)
    guard answer >= 0, let reply else { throw BusError(attempt, answer: answer, error: error) }
    defer { _ = library.pointee.sd_bus_message_unref(reply) }
    let reader = MessageReader(library: library, message: reply)
    guard let value = read(reader) else {
      throw BusError(attempt, message: "the answer of \(method) has another form than expected")
    }
    return value
  }

  enum Argument {
    case string(String)
    case unsigned(UInt32)
  }

  func append(_ argument: Argument, to message: OpaquePointer) -> Int32 {
    switch argument {
    case .string(let text):
      return library.pointee.sd_bus_message_append_basic(message, CChar(UInt8(ascii: "s")), text)
    case .unsigned(var number):
      return library.pointee.sd_bus_message_append_basic(message, CChar(UInt8(ascii: "u")), &number)
    }
  }
}

/// Reads the parts of an answer in order. Texts are copied; a part of another type is nil and ends the reading.
struct MessageReader {
  let library: UnsafePointer<csd_bus>
  let message: OpaquePointer

  private func basic<Value>(_ type: Unicode.Scalar, _ start: Value) -> Value? {
    var value = start
    let answer = withUnsafeMutablePointer(to: &value) {
      library.pointee.sd_bus_message_read_basic(message, CChar(truncatingIfNeeded: type.value), $0)
    }
    return answer > 0 ? value : nil
  }

  private func text(_ type: Unicode.Scalar) -> String? {
    basic(type, nil as UnsafePointer<CChar>?)?.map { String(cString: $0) }
  }

  func string() -> String? { text("s") }
  func path() -> String? { text("o") }
  func unsigned() -> UInt32? { basic("u", 0 as UInt32) }
  func signed() -> Int32? { basic("i", 0 as Int32) }
  func long() -> UInt64? { basic("t", 0 as UInt64) }
  /// A boolean is an int in memory.
  func boolean() -> Bool? { basic("b", 0 as Int32).map { $0 != 0 } }

  /// An array of bytes.
  func bytes(atMost limit: Int) -> [UInt8]? {
    guard library.pointee.sd_bus_message_enter_container(message, CChar(UInt8(ascii: "a")), "y") > 0 else { return nil }
    var bytes: [UInt8] = []
    while bytes.count < limit, let byte = basic("y", 0 as UInt8) { bytes.append(byte) }
    return library.pointee.sd_bus_message_exit_container(message) >= 0 ? bytes : nil
  }

  /// Of the array or structure that is being read.
  var isAtEnd: Bool { library.pointee.sd_bus_message_at_end(message, 0) != 0 }

  /// What else is in it.
  func skipRest() { while !isAtEnd, library.pointee.sd_bus_message_skip(message, nil) >= 0 {} }

  func strings() -> [String]? {
    var list: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    guard library.pointee.sd_bus_message_read_strv(message, &list) >= 0 else { return nil }
    guard let list else { return [] }
    defer { free(list) }
    var texts: [String] = []
    var index = 0
    while let text = list[index] {
      texts.append(String(cString: text))
      free(text)
      index += 1
    }
    return texts
  }

  /// Reads inside a variant (`v`) or a structure (`r`).
  func inside<Value>(_ type: Unicode.Scalar, _ contents: String, _ read: () -> Value?) -> Value? {
    guard
      library.pointee.sd_bus_message_enter_container(message, CChar(truncatingIfNeeded: type.value), contents) > 0,
      let value = read(), library.pointee.sd_bus_message_exit_container(message) >= 0
    else { return nil }
    return value
  }
}
