import Foundation
import LinuxSystem

/// The built `baton`, run as a person runs it.
struct ProgramRun {
  let status: Int32
  let output: String
  let errors: String

  /// Beside the test bundle.
  static let baton = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "baton")

  init(_ arguments: String..., environment: [String: String] = [:]) throws {
    try self.init(Self.baton, arguments, environment: environment)
  }

  init(_ program: URL, _ arguments: [String], input: String? = nil, environment: [String: String] = [:]) throws {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    // Nothing of this machine's services or of the person who runs the tests.
    process.environment = ["PATH": "/usr/bin:/bin", "TZ": "UTC", "HOME": "/nonexistent"].merging(environment) { $1 }
    let (output, errors, stdin) = (Pipe(), Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = stdin
    try process.run()
    if let input { try stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8)) }
    try stdin.fileHandleForWriting.close()
    // Small outputs only on the second, so that reading one after the other cannot stall.
    self.output = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    self.errors = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
  }
}
