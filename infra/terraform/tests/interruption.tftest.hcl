mock_provider "aws" {
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:us-east-1:123456789012:mock", url = "https://sqs.us-east-1.amazonaws.com/123456789012/mock" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-east-1:123456789012:rule/mock" }
  }
}

run "five_events_arrive_in_an_encrypted_queue" {
  module {
    source = "./modules/interruption"
  }

  variables {
    name = "slipway-test"
  }

  assert {
    condition = toset([for one in aws_cloudwatch_event_rule.this : jsondecode(one.event_pattern)["detail-type"][0]]) == toset([
      "AWS Health Event", "EC2 Capacity Reservation Instance Interruption Warning", "EC2 Instance Rebalance Recommendation",
      "EC2 Instance State-change Notification", "EC2 Spot Instance Interruption Warning",
    ])
    error_message = "an event is missing"
  }
  assert {
    condition     = alltrue([for one in aws_cloudwatch_event_target.this : one.arn == aws_sqs_queue.this.arn])
    error_message = "an event goes elsewhere"
  }
  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "the queue is not encrypted"
  }
  assert {
    condition     = alltrue([for one in jsondecode(aws_sqs_queue_policy.this.policy).Statement : one.Effect == "Deny" || can(one.Condition.ArnEquals["aws:SourceArn"])])
    error_message = "whoever knows the queue may write to it"
  }
}
