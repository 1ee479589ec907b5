package bank

// A Transfer is a request to move money from an account on this node to one on
// this node or another. It is answered with Done or Denied.
type Transfer struct {
	From, To string
	Amount   int64
}

// Done says that the money has left the account, and what is left there.
type Done struct {
	Balance int64
}

// Denied says why nothing was done.
type Denied struct {
	Reason string
}

// Look asks for all accounts of a node: a Sheet.
type Look struct{}

// A Sheet is what is on a node.
type Sheet struct {
	Accounts []Line
	Sum      int64 // of all balances
	Owed     int64 // sent to other nodes and not acknowledged: some of it has arrived
}

// A Line is one account.
type Line struct {
	Name    string
	Balance int64
}

// A Credit is a transfer on its way: the money is in this message.
type Credit struct {
	No      uint64
	Account string
	Amount  int64
}

// Again tells of a Credit that wasn't acknowledged. Its money is in the Credit,
// until that is known to be lost: so the field has another name.
type Again struct {
	No      uint64
	Account string
	Sum     int64
}

// An Ack says up to which number all transfers were taken, and, if No isn't 0, that
// this one was.
type Ack struct {
	UpTo uint64
	No   uint64
}

// A Tick is the time to look for what isn't acknowledged.
type Tick struct{}
