package import LinuxSystem
package import Supervision
package import Vocabulary

/// How a candidate that waits is asked by others, out of sight of clients.
package enum ProbeDoor {
  /// A socket whose connection to this address the candidate answers. Not connected yet.
  case tcp(SocketAddress.InternetAddress, Descriptor)
  /// The candidate's own path.
  case unix(path: String)
}

/// Why there is no such way.
package enum ProbeDoorError: Error, Hashable, Sendable {
  case notHeld
  case unknownSocket
  case cannot(String)
}

extension Runtime {
  /// The word a held candidate waits for. False when no candidate of this operation waits: a commit is then without
  /// effect.
  @discardableResult
  package func releaseHold(_ operation: OperationID, _ release: HoldRelease) -> Bool {
    let isHeld = core.held(operation) != nil
    send(.holdReleased(operation, release))
    return isHeld
  }

  /// A way to ask the candidate that waits for the word about `operation`, through the address that clients use.
  package func openProbe(_ operation: OperationID, _ socket: SocketName) throws(ProbeDoorError) -> ProbeDoor {
    guard let candidate = core.held(operation) else { throw .notHeld }
    guard let listener = core.generations[candidate]?.bindings[socket], let group = core.groups[listener.key] else {
      throw .unknownSocket
    }
    switch group.kind {
    case .shared: throw .cannot("generations share its listener here, so whoever accepts first answers")
    case .constant: throw .cannot("it is a datagram socket")
    case .program, .rename: break
    }
    guard listener != group.serving else {
      throw .cannot("it is an exclusive engine's, and both generations have the same listener")
    }
    guard let route = listeners.probeRoute(to: listener) else { throw .cannot("there is no way to it") }
    switch route.target {
    case .unix(let path): return .unix(path: path)
    case .tcp(let address):
      do throws(ConnectError) {
        let options = ProbeConnection.Options(mark: route.mark, source: route.source)
        return .tcp(address, try ProbeConnection.makeSocket(route.target, options))
      } catch { throw .cannot(error.reason) }
    }
  }
}
