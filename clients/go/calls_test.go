package corral

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// unavailable is the error of a server that asks to come back.
func unavailable(t *testing.T, reason, domain string, delay time.Duration) error {
	t.Helper()
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: reason, Domain: domain}),
		protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}),
	}
	failed, err := status.New(codes.Unavailable, "later").WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return failed.Err()
}

func TestPauseBeyondTheDeadlineIsNotWaited(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	attempts := 0
	err := retry(ctx, func() (bool, error) {
		attempts++
		return false, unavailable(t, "ENGINE_RESTARTING", "corral", time.Hour)
	})
	var failure *Error
	if !errors.As(err, &failure) || failure.RetryDelay != time.Hour || attempts != 1 {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
}

func TestCancelledPauseMakesTheLastAttempt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	attempts := 0
	err := retry(ctx, func() (bool, error) {
		attempts++
		if attempts > 1 {
			return false, status.FromContextError(ctx.Err()).Err()
		}
		cancel()
		return false, unavailable(t, "ENGINE_RESTARTING", "corral", time.Hour)
	})
	if !errors.Is(err, context.Canceled) || attempts != 2 {
		t.Errorf("after %d attempts: %v", attempts, err)
	}
}

func TestDetailsOfAnotherDomainAreNotOurs(t *testing.T) {
	failure := parse(unavailable(t, "HUB_UNAVAILABLE", "proxy.example", 0))
	if failure.Reason != "" || failure.Code != codes.Unavailable || failure.Message != "later" {
		t.Error(failure)
	}
}

func TestErrorKeepsItsStatus(t *testing.T) {
	if code := status.Code(parse(status.Error(codes.NotFound, "none"))); code != codes.NotFound {
		t.Error(code)
	}
}
