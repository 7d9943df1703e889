package corral

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Error is what a failed call returns: errors.As finds it, and errors.Is knows it as
// context.Canceled or context.DeadlineExceeded where that is what happened.
type Error struct {
	Code       codes.Code
	Reason     string            // the name in ErrorReason without its prefix; may be empty
	Message    string            // a sentence for people
	Fields     []*Field          // every bad one, and why
	RetryDelay time.Duration     // when to come back; 0 if the server does not say
	Metadata   map[string]string // names and numbers behind the message
	status     *status.Status
}

// Field is the path of a bad field in the request, and a description of what is wrong with it.
type Field = errdetails.BadRequest_FieldViolation

// Model is the model that the error is about; empty if it is about none.
func (e *Error) Model() string { return e.Metadata["model"] }

func (e *Error) Error() string { return cmp.Or(e.Reason, e.Code.String()) + ": " + e.Message }

// GRPCStatus is the status as it came, for the functions of google.golang.org/grpc/status.
func (e *Error) GRPCStatus() *status.Status { return e.status }

func (e *Error) Is(target error) bool {
	return e.Code == codes.Canceled && target == context.Canceled ||
		e.Code == codes.DeadlineExceeded && target == context.DeadlineExceeded
}

// parse makes gRPC's error ours; of a status that is not Corral's, code and message.
func parse(err error) *Error {
	received := status.Convert(err)
	e := &Error{Code: received.Code(), Message: received.Message(), status: received}
	for _, detail := range received.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "corral" {
				e.Reason, e.Metadata = detail.Reason, detail.Metadata
			}
		case *errdetails.BadRequest:
			e.Fields = detail.FieldViolations
		case *errdetails.RetryInfo:
			e.RetryDelay = detail.RetryDelay.AsDuration()
		}
	}
	return e
}
