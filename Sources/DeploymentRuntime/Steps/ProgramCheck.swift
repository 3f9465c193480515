internal import Deployment
internal import Glibc
internal import LinuxSystem
internal import Settings
internal import Systemd

/// Whether a unit that baton does not supervise runs from `current`: one that names another place goes on with what lies
/// there, whatever is activated, and passes every check.
///
/// Nobody but its owner can see what a process runs (ptrace(2)), so it is the unit's own words that are read, and what
/// they name.
enum ProgramCheck {
  /// What a unit says.
  struct Words: Hashable {
    /// The program and its arguments.
    var commands: [[String]] = []
    /// Directories, variables, and what is bound into its view of the file system.
    var others: [String] = []
  }

  static func look(_ operation: Operation, isWaived: Bool) -> PreflightStep.Finding {
    let name = operation.deploy.unit
    guard !name.hasPrefix("baton@"), name.hasSuffix(".service") else { return .fine("it is baton's own unit") }
    let words: Words
    do throws(BusError) { words = try read(name) } catch {
      return .weak("whether \(name) runs from \(operation.layout.current) cannot be seen: \(error.message)")
    }
    switch judge(name, words, operation.layout) {
    case .refusal(let failure) where isWaived: return .weak(failure.what)
    case let finding: return finding
    }
  }

  private static func read(_ name: String) throws(BusError) -> Words {
    let bus = try SystemBus()
    let unit = try bus.loadUnit(name)
    guard try bus.string(.unit("LoadState"), of: unit) == "loaded" else { return Words() }
    let directories = try bus.values(
      [.string(.service("WorkingDirectory")), .string(.service("RootDirectory"))], of: unit)
    return Words(
      commands: try bus.commands(.service("ExecStart"), of: unit),
      others: directories.map(\.string) + (try bus.strings(.service("Environment"), of: unit)))
  }

  static func judge(_ name: String, _ words: Words, _ layout: Layout) -> PreflightStep.Finding {
    // One that is not there, or has no program: for the check of the unit.
    guard let program = words.commands.first?.first else { return .fine("\(name) has no program") }
    let route = Route(to: layout)
    let next =
      "let \(name) name \(layout.current)/… (systemctl edit \(name)), or set tree in [deploy] to the directory it runs "
      + "from and take that over: baton adopt"
    for command in words.commands {
      if let program = command.first, isInside(program, layout.directory), !route.leadsThrough(program) {
        return .refusal(
          StepFailure(
            .refused, "\(name) starts \(program), which no deploy replaces: releases are run as \(layout.current)",
            next: next))
      }
    }
    let said = words.commands.flatMap { $0 } + words.others
    if said.contains(where: { text in paths(in: text).contains(where: route.leadsThrough) }) {
      return .fine("\(name) runs from \(layout.current)")
    }
    // A configuration that the unit names.
    let files = words.commands.flatMap { $0.dropFirst() }.flatMap(paths)
    let mentioned = files.map { mentions(layout.current, in: $0) }
    if mentioned.contains(true) { return .fine("\(name) is configured for \(layout.current)") }
    if let unread = zip(files, mentioned).first(where: { $0.1 == nil })?.0 {
      return .weak("whether \(name) runs from \(layout.current) cannot be seen: \(unread) cannot be read by this user")
    }
    guard system.contains(where: { isInside(program, $0) }) else {
      return .refusal(
        StepFailure(
          .refused,
          "\(name) starts \(program), and nothing of it names \(layout.current): it would go on with the old "
            + "code after every deploy", next: next))
    }
    return .weak(
      "nothing that \(name) says names \(layout.current): whether \(program) serves what is deployed cannot be seen")
  }

  /// Programs of the distribution, which find what they serve in places of their own.
  private static let system = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/snap", "/nix"]

  private static func isInside(_ path: String, _ directory: String) -> Bool { path.hasPrefix(directory + "/") }

  /// The absolute paths in a word: all of it, or what follows `=` or `:` in it.
  private static func paths(in word: String) -> [String] {
    word.split { $0 == "=" || $0 == ":" || $0 == "," || $0 == " " }
      .map { $0.drop { "!-+@".contains($0) } }.filter { $0.hasPrefix("/") }.map(String.init)
  }

  /// nil where that cannot be seen. What is no file, or larger than a configuration is, mentions nothing.
  private static func mentions(_ current: String, in file: String) -> Bool? {
    do throws(SystemError) {
      guard let facts = try FileFacts.ifPresent(file), facts.kind == .file, facts.size <= 1 << 20 else { return false }
      return String(decoding: try readFile(file), as: UTF8.self).contains(current)
    } catch { return nil }
  }
}

/// Whether a path leads through `current`, as it is or by links on the way; `current` need not be there.
private struct Route {
  private let current: Set<String>
  private static let linksAtMost = 40

  init(to layout: Layout) {
    var places: Set<String> = [layout.current]
    // The directory may be reached by a link itself.
    if let real = realpath(layout.directory, nil) {
      places.insert("\(String(cString: real))/current")
      free(real)
    }
    current = places
  }

  func leadsThrough(_ path: String) -> Bool {
    var links = 0
    var done = ""
    var rest = ArraySlice(parts(of: path))
    while let part = rest.popFirst() {
      if part == ".." {
        done = done.lastIndex(of: "/").map { String(done[..<$0]) } ?? ""
        continue
      }
      let place = "\(done)/\(part)"
      if current.contains(place) { return true }
      guard (try? FileFacts.ifPresent(place))?.kind == .link, let target = try? readLink(place) else {
        done = place
        continue
      }
      links += 1
      guard links <= Self.linksAtMost else { return false }
      let text = String(decoding: target, as: UTF8.self)
      if text.hasPrefix("/") { done = "" }
      rest = ArraySlice(parts(of: text) + rest)
    }
    return false
  }

  private func parts(of path: String) -> [String] {
    path.split(separator: "/").map(String.init).filter { $0 != "." }
  }
}
