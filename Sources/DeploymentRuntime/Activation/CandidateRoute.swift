import ControlClient
import ControlProtocol
import Deployment
import LinuxSystem
import Probing
import Settings
import Vocabulary

/// Leads questions to the generation that waits, through sockets that the supervisor marks.
final class CandidateRoute: WebRoute {
  let target: WebTarget
  private(set) var refusal: String?
  private let client: ControlClient
  private let reload: OperationID
  private let socket: SocketName
  /// The first one, which told the address.
  private var ready: Descriptor?

  /// - Throws: also where the candidate cannot be told from the one that serves.
  init(_ client: ControlClient, _ reload: OperationID, _ socket: SocketName) throws(ClientError) {
    self.client = client
    self.reload = reload
    self.socket = socket
    let (way, first) = try client.probe(reload, socket: socket)
    ready = first
    if let path = way.path {
      target = .unix(path: path)
    } else if let host = way.host, let port = way.port.flatMap({ UInt16(exactly: $0) }) {
      target = .tcp(host: host, port: port)
    } else {
      throw .strange(path: client.path, "the reply names no address")
    }
  }

  func socket(to host: String, port: UInt16) -> Descriptor? {
    guard target == .tcp(host: host, port: port) else {
      refusal = "it redirects to \(host) port \(port), which is not socket \(socket) of this service"
      return nil
    }
    if let ready {
      self.ready = nil
      return ready
    }
    do throws(ClientError) {
      return try client.probe(reload, socket: socket).socket
    } catch {
      refusal = error.what
      return nil
    }
  }
}

extension Settings {
  /// The socket of this service that a URL asks; nil where it leads elsewhere, or may.
  func socket(asked url: String) -> SocketName? {
    guard let address = WebAddress(url) else { return nil }
    return sockets.first { socket in
      switch socket.address {
      case .unix(let path): address.unixPath == path
      case .udp: false
      case .tcp(let own): address.unixPath == nil && own.port == address.port && own.isMeant(by: address.host)
      }
    }?.name
  }
}

extension SocketAddress.InternetAddress {
  /// Whether a URL with this host, asked on this very host, meets a listener here.
  fileprivate func isMeant(by host: String) -> Bool {
    let isLoopback = host == "localhost" || host.hasPrefix("127.") || host == "::1"
    let isEverywhere =
      switch self.host {
      case .any: true
      case .v4(let bytes), .v6(let bytes): bytes.allSatisfy { $0 == 0 }
      }
    return host == hostText || isLoopback && isEverywhere
      || host == "localhost" && ["127.0.0.1", "::1"].contains(hostText)
  }
}
