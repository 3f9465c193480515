import CSystemd
import Glibc
import LinuxSystem
import Vocabulary

/// A property to be asked for together with others, and its type.
public struct PropertyQuestion: Hashable, Sendable {
  let property: UnitProperty
  let kind: Kind

  enum Kind: String {
    case string = "s"
    case unsigned = "u"
    case long = "t"
    case bytes = "ay"
  }

  public static func string(_ property: UnitProperty) -> Self { Self(property: property, kind: .string) }
  public static func unsigned(_ property: UnitProperty) -> Self { Self(property: property, kind: .unsigned) }
  public static func long(_ property: UnitProperty) -> Self { Self(property: property, kind: .long) }
  public static func bytes(_ property: UnitProperty) -> Self { Self(property: property, kind: .bytes) }
}

public enum PropertyValue: Hashable, Sendable {
  case string(String)
  case unsigned(UInt32)
  case long(UInt64)
  case bytes([UInt8])

  public var string: String { if case .string(let text) = self { text } else { "" } }
  public var unsigned: UInt32 { if case .unsigned(let number) = self { number } else { 0 } }
  public var long: UInt64 { if case .long(let number) = self { number } else { 0 } }
  public var bytes: [UInt8] { if case .bytes(let bytes) = self { bytes } else { [] } }
}

extension SystemBus {
  /// Several properties of a unit, in the order of the questions. All are sent before the first answer is waited for: as
  /// quick as one, and answered by systemd one right after the other.
  ///
  /// - Throws: where one of them cannot be had.
  public func values(_ questions: [PropertyQuestion], of unit: UnitPath) throws(BusError) -> [PropertyValue] {
    let answers = questions.map { Answer($0, library) }
    var slots: [OpaquePointer] = []
    defer {
      for slot in slots { _ = library.pointee.sd_bus_slot_unref(slot) }
      withExtendedLifetime(answers) {}
    }
    for answer in answers { slots.append(try send(answer, unit)) }
    let deadline = Instant.monotonicNow() + timeout
    for answer in answers {
      while answer.result == nil { try wait(answer.attempt, until: deadline) }
    }
    var values: [PropertyValue] = []
    for answer in answers { if let result = answer.result { values.append(try result.get()) } }
    return values
  }

  private func send(_ answer: Answer, _ unit: UnitPath) throws(BusError) -> OpaquePointer {
    var request: OpaquePointer?
    var code = library.pointee.sd_bus_message_new_method_call(
      connection, &request, Self.destination, unit.description, "org.freedesktop.DBus.Properties", "Get")
    guard code >= 0, let request else { throw BusError(answer.attempt, answer: code) }
    defer { _ = library.pointee.sd_bus_message_unref(request) }
    let property = answer.question.property
    for argument in [Argument.string(property.interface), .string(property.name)] {
      code = append(argument, to: request)
      guard code >= 0 else { throw BusError(answer.attempt, answer: code) }
    }
    var slot: OpaquePointer?
    code = library.pointee.sd_bus_call_async(
      connection, &slot, request,
      { message, context, _ in
        if let message, let context { Unmanaged<Answer>.fromOpaque(context).takeUnretainedValue().take(message) }
        return 0
      }, Unmanaged.passUnretained(answer).toOpaque(), timeout.wholeMicroseconds)
    guard code >= 0, let slot else { throw BusError(answer.attempt, answer: code) }
    return slot
  }

  private func wait(_ attempt: String, until deadline: Instant) throws(BusError) {
    let processed = library.pointee.sd_bus_process(connection, nil)
    guard processed >= 0 else { throw BusError(attempt, answer: processed) }
    if processed > 0 { return }
    let left = deadline - .monotonicNow()
    guard left > .zero else { throw BusError(attempt, answer: -ETIMEDOUT) }
    let waited = library.pointee.sd_bus_wait(connection, left.wholeMicroseconds)
    if waited < 0, waited != -EINTR { throw BusError(attempt, answer: waited) }
  }
}

/// What came back for one question.
private final class Answer {
  let question: PropertyQuestion
  private let library: UnsafePointer<csd_bus>
  private(set) var result: Result<PropertyValue, BusError>?

  var attempt: String { "read \(question.property.name)" }

  init(_ question: PropertyQuestion, _ library: UnsafePointer<csd_bus>) {
    self.question = question
    self.library = library
  }

  func take(_ message: OpaquePointer) {
    if let error = library.pointee.sd_bus_message_get_error(message) {
      result = .failure(BusError(attempt, answer: -EIO, error: error.pointee))
      return
    }
    let reader = MessageReader(library: library, message: message)
    let value: PropertyValue? = reader.inside("v", question.kind.rawValue) {
      switch question.kind {
      case .string: reader.string().map { .string($0) }
      case .unsigned: reader.unsigned().map { .unsigned($0) }
      case .long: reader.long().map { .long($0) }
      case .bytes: reader.bytes(atMost: 64).map { .bytes($0) }
      }
    }
    result =
      value.map { .success($0) }
      ?? .failure(BusError(attempt, message: "the answer has another form than expected"))
  }
}
