import LinuxSystem

/// Looks the group `baton` up, whose members may command the service.
final class Operators {
  private let loop: EventLoop
  private enum LookUp {
    case none, underWay
    /// Asked for once more meanwhile: the one under way may have looked before what is asked about.
    case wantedAgain
  }
  private var state = LookUp.none
  /// Gets what was found, nil where the host has no such group; not called where nobody can say: what was known goes on to
  /// hold.
  var found: (UInt32?) -> Void = { _ in }

  private static let name = "baton"

  init(_ loop: EventLoop) { self.loop = loop }

  /// Here and now, before the loop runs: it may take as long as the host's directory service does.
  static func now() -> UInt32? { Users.group(named: name) }

  /// On a thread of its own, one at a time.
  func lookUp() {
    guard state == .none else { return state = .wantedAgain }
    state = .underWay
    let reply = loop.reply { [weak self] (answer: Result<UInt32?, SystemError>) in self?.take(answer) }
    HelperThread.run {
      reply.send(Result { () throws(SystemError) in try Users.find(group: Self.name) })
    }
  }

  private func take(_ answer: Result<UInt32?, SystemError>) {
    let isWantedAgain = state == .wantedAgain
    state = .none
    if case .success(let group) = answer { found(group) }
    if isWantedAgain { lookUp() }
  }
}
