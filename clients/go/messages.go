package corral

import corralv1 "github.com/corral-serve/corral/clients/go/corral/v1"

// System sets the task; it goes first.
func System(content string) *corralv1.Message { return say(corralv1.Role_ROLE_SYSTEM, content) }

// User is what the person or program says.
func User(content string) *corralv1.Message { return say(corralv1.Role_ROLE_USER, content) }

// Assistant is what the model said before.
func Assistant(content string) *corralv1.Message { return say(corralv1.Role_ROLE_ASSISTANT, content) }

func say(role corralv1.Role, content string) *corralv1.Message {
	return &corralv1.Message{Role: role, Content: content}
}
