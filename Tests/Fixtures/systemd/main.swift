// Calls the Systemd library from the command line, so that tests from outside can try it against a real systemd.
import Glibc
import Systemd

func fail(_ text: String) -> Never {
  fputs("fixture-systemd: \(text)\n", stderrFile())
  exit(1)
}

func stderrFile() -> UnsafeMutablePointer<FILE>? { fdopen(dup(STDERR_FILENO), "w") }

func show(_ bus: SystemBus, _ name: String) throws(BusError) {
  let unit = try bus.loadUnit(name)
  print("load=\(try bus.string(.unit("LoadState"), of: unit))")
  print("active=\(try bus.string(.unit("ActiveState"), of: unit))")
  print("job=\(try bus.job(of: unit)?.type ?? "none")")
  guard name.hasSuffix(".service") else { return }
  print("stop-timeout=\(try bus.long(.service("TimeoutStopUSec"), of: unit))")
  print("delegate=\(try bus.boolean(.service("Delegate"), of: unit))")
  print("store-max=\(try bus.unsigned(.service("FileDescriptorStoreMax"), of: unit))")
  print("names=\(try bus.strings(.unit("Names"), of: unit).joined(separator: ","))")
}

func log(_ message: String, _ size: Int) throws {
  let id = MessageID(0x2898_f49e_69ba_c4da, 0xabc3_8942_ba7f_ea33)
  let fields = [LogField("FIXTURE", "a\nb"), LogField("FIXTURE_LARGE", String(repeating: "x", count: size))]
  let journal = try Journal()
  if let failure = journal.write(LogEntry(.notice, message, id: id, fields: fields.compactMap { $0 })) { throw failure }
}

do {
  let arguments = Array(CommandLine.arguments.dropFirst())
  switch arguments.first {
  case "version": print(try SystemBus(arguments.count > 1 ? .system : .automatic).systemdVersion())
  case "show": try show(SystemBus(), arguments[1])
  case "unit-of": print(try SystemBus().unit(ofProcess: UInt32(arguments[1]) ?? 0))
  case "log": try log(arguments[1], Int(arguments[2]) ?? 0)
  case "ready":
    // READY, a status, a stored descriptor, and proof that all of it was handled; then waits for a signal.
    guard let client = try NotifyClient.fromEnvironment() else { fail("there is no manager") }
    if let failure = client.send(.ready, .status("fixture\nis ready\\now")) { throw failure }
    if let failure = client.storeDescriptors([STDIN_FILENO], name: "kept", poll: false) { throw failure }
    if let failure = client.barrier(timeout: .seconds(10)) { throw failure }
    for passed in try ListenDescriptors.fromEnvironment().all { print("passed \(passed.name)") }
    print("watchdog \(try Watchdog.fromEnvironment()?.limit.description ?? "none")")
    fflush(nil)
    pause()
  case let verb?:
    guard let verb = UnitVerb(rawValue: verb) else { fail("unknown verb \(verb)") }
    print(
      try SystemBus().perform(verb, arguments[1], within: .seconds(Int(arguments.dropFirst(2).first ?? "30") ?? 30)))
  case nil: fail("a verb is missing")
  }
} catch {
  fail("\(error)")
}
