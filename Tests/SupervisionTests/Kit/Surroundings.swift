import Glibc

/// What a person may ask of the tests by environment.
enum Surroundings {
  static func text(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
  static func number(_ name: String) -> UInt64? { text(name).flatMap { UInt64($0) } }
}
