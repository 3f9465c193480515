/// A unit as the bus knows it.
public struct UnitPath: Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ path: String) { description = path }
}

/// A property and the interface it belongs to. Source: org.freedesktop.systemd1(5).
public struct UnitProperty: Hashable, Sendable {
  let interface: String
  public let name: String

  /// Of every unit: `LoadState`, `ActiveState`, `StartLimitIntervalUSec`, …
  public static func unit(_ name: String) -> UnitProperty {
    UnitProperty(interface: "org.freedesktop.systemd1.Unit", name: name)
  }

  /// Of services: `KillMode`, `TimeoutStopUSec`, …
  public static func service(_ name: String) -> UnitProperty {
    UnitProperty(interface: "org.freedesktop.systemd1.Service", name: name)
  }
}

extension SystemBus {
  /// The unit, loaded from disk if it is not yet. A unit without a file is loaded too: its `LoadState` is `not-found`.
  public func loadUnit(_ name: String) throws(BusError) -> UnitPath {
    try manager("load \(name)", "LoadUnit", [.string(name)]) { $0.path().map(UnitPath.init) }
  }

  /// The unit, if systemd has it loaded.
  public func unit(_ name: String) throws(BusError) -> UnitPath {
    try manager("find \(name)", "GetUnit", [.string(name)]) { $0.path().map(UnitPath.init) }
  }

  /// The unit a process belongs to; 0 is the caller.
  public func unit(ofProcess pid: UInt32) throws(BusError) -> UnitPath {
    try manager("find the unit of process \(pid)", "GetUnitByPID", [.unsigned(pid)]) { $0.path().map(UnitPath.init) }
  }

  /// `252` of `252.39-1~deb12u2`.
  public func systemdVersion() throws(BusError) -> Int {
    let property = UnitProperty(interface: Self.managerInterface, name: "Version")
    let text = try value(property, at: Self.managerPath, "s") { $0.string() }
    guard let number = Int(text.drop { !$0.isNumber }.prefix { $0.isASCII && $0.isNumber }) else {
      throw BusError("read the version of systemd", message: "\"\(text)\" is not a version")
    }
    return number
  }

  // MARK: Properties

  public func string(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> String {
    try value(property, at: unit.description, "s") { $0.string() }
  }

  public func boolean(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> Bool {
    try value(property, at: unit.description, "b") { $0.boolean() }
  }

  public func unsigned(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> UInt32 {
    try value(property, at: unit.description, "u") { $0.unsigned() }
  }

  public func signed(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> Int32 {
    try value(property, at: unit.description, "i") { $0.signed() }
  }

  /// Sizes, and times in microseconds; `UInt64.max` is "infinity".
  public func long(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> UInt64 {
    try value(property, at: unit.description, "t") { $0.long() }
  }

  public func strings(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> [String] {
    try value(property, at: unit.description, "as") { $0.strings() }
  }

  /// Of type `ay`, such as `InvocationID`; at most 64 of them.
  public func bytes(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> [UInt8] {
    try value(property, at: unit.description, "ay") { $0.bytes(atMost: 64) }
  }

  /// Commands of a unit, such as `ExecStart`: of each the program and its arguments as systemd calls it. At most 64 of each.
  public func commands(_ property: UnitProperty, of unit: UnitPath) throws(BusError) -> [[String]] {
    let type = "(sasbttttuii)"
    return try value(property, at: unit.description, "a\(type)") { reader in
      reader.inside("a", type) { () -> [[String]]? in
        var commands: [[String]] = []
        while commands.count < 64, !reader.isAtEnd {
          let words = reader.inside("r", String(type.dropFirst().dropLast())) { () -> [String]? in
            guard let program = reader.string(), let words = reader.strings() else { return nil }
            reader.skipRest()
            return [program] + words.dropFirst()
          }
          guard let words else { return nil }
          commands.append(words)
        }
        return commands
      }
    }
  }

  func value<Value>(
    _ property: UnitProperty, at path: String, _ type: String, read: (MessageReader) -> Value?
  ) throws(BusError) -> Value {
    try call(
      "read \(property.name)", path: path, interface: "org.freedesktop.DBus.Properties", method: "Get",
      [.string(property.interface), .string(property.name)]
    ) { reader in reader.inside("v", type) { read(reader) } }
  }

  func manager<Answer>(
    _ attempt: String, _ method: String, _ arguments: [Argument] = [], read: (MessageReader) -> Answer?
  ) throws(BusError) -> Answer {
    try call(
      attempt, path: Self.managerPath, interface: Self.managerInterface, method: method, arguments, read: read)
  }
}
