import Vocabulary

extension FakeHost {
  /// What a process will do; drawn when it is started.
  struct Character {
    var readyAfter: Duration?
    var diesAfter: Duration?
    var exitsAfterTerm: Duration?
    var emptyAfter: Duration
    var showsLife: Bool
  }
}
